"""The wheel, built and installed into an environment of its own, works in an empty folder.

Nothing is downloaded: the new environment sees the packages of the one that runs the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from pages import SHORT_DENSE

import recseg_d2
from recseg_d2.engine.environment import EXTRAS

pytestmark = pytest.mark.slow

SOURCES = ("recseg_d2", "configs", "setup.py", "pyproject.toml", "README.md", "LICENSE")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
OFFLINE = ["--no-index", "--no-deps"]

COMMANDS = [
    ["make-dataset", "label_maps", "leaves", "--images", "4", "--size", "48"],
    ["train", "--train-data", "leaves/train", "--val-data", "leaves/val", "OUTPUT_DIR", "run"],
    ["predict", "--weights", "recseg://rosettes", "--input", "leaves/val/images"],
    ["evaluate", "--pred", "found/labels", "--gt", "leaves/val/labels", "--json", "scores.json"],
]
COMMANDS[1] += SHORT_DENSE
COMMANDS[2] += ["--output", "found"]

# One process for all commands: most of what each takes is importing PyTorch.
RUN_ALL = """
import json, runpy, sys
import recseg_d2
print(recseg_d2.__file__)
script, commands = sys.argv[1:]
for arguments in json.loads(commands):
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, arguments
"""


def run(words, **options):
    """Standard output of a command that does not see this checkout."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(words, capture_output=True, text=True, check=False, env=env, **options)
    assert result.returncode == 0, f"{words}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built from a copy of it."""
    pytest.importorskip("setuptools", "70.1", reason="setuptools before 70.1 builds no wheel alone")
    folder = tmp_path_factory.mktemp("wheel")
    root, copy = Path(__file__).parent.parent, folder / "source"
    copy.mkdir()
    for name in SOURCES:
        if (root / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(root / name, copy / name, ignore=ignored)
        else:
            shutil.copy(root / name, copy / name)
    run([*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(folder), str(copy)])
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory):
    """The folder of commands of a new environment into which the wheel is installed."""
    place = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    run([*PIP, "--python", str(python), "install", *OFFLINE, str(wheel)])
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(run([str(python), "-c", code]).strip())
    outer = [path for path in sys.path if Path(path).name == "site-packages"]
    (own / "outer.pth").write_text("\n".join(outer))
    return python.parent


def test_the_wheel_holds_the_package_its_configs_and_models(wheel, root):
    with ZipFile(wheel) as file:
        found = {name for name in file.namelist() if ".dist-info/" not in name}
    files = [p.relative_to(root) for p in (root / "recseg_d2").rglob("*") if p.is_file()]
    caches = ("__pycache__", ".mypy_cache")
    expected = {str(path) for path in files if not any(name in path.parts for name in caches)}
    configs = {p.relative_to(root) for p in (root / "configs").rglob("*.yaml")}
    assert found == expected | {f"recseg_d2/{path}" for path in configs}


def test_the_wheel_says_what_it_is(wheel):
    assert wheel.name.startswith(f"recseg_d2-{recseg_d2.__version__}-py3-none-any")
    with ZipFile(wheel) as file:
        (name,) = (n for n in file.namelist() if n.endswith(".dist-info/METADATA"))
        said = Parser().parsestr(file.read(name).decode())
    assert said["Version"] == recseg_d2.__version__
    assert {*EXTRAS, "all", "dev"} == set(said.get_all("Provides-Extra"))


def test_train_predict_evaluate_in_an_empty_folder(fresh, tmp_path):
    commands = json.dumps([["--version"], *COMMANDS, ["doctor"]])
    words = [fresh / "python", "-c", RUN_ALL, fresh / "recseg", commands]
    lines = run(words, cwd=tmp_path).splitlines()
    assert lines[0].startswith(str(fresh.parent))
    assert lines[1].split() == ["recseg_d2", recseg_d2.__version__]
    assert (tmp_path / "run" / "model_final.pth").is_file()
    (score,) = (tmp_path / "found").glob("counts.csv")
    assert len(score.read_text().splitlines()) == 2  # the names of the columns, and an image
    assert "SBD" in json.loads((tmp_path / "scores.json").read_text())["mean"]
