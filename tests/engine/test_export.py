"""Exported models equal those that were exported."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from engine.tiny_models import MODELS, tiny_model_cfg
from PIL import Image

from recseg_d2.config import load_config
from recseg_d2.engine.export import export, exportable
from recseg_d2.errors import UserError

SIZE = (32, 32)
NAMES = [*sorted(MODELS), "ris full"]


def exported_model(name):
    torch.manual_seed(0)
    if name == "ris full":
        small = ["MODEL.RIS.PREPROCESSOR.ENABLED", True, "MODEL.NUM_CLASSES", 3]
        cfg = tiny_model_cfg("ris", *small)
    else:
        cfg = tiny_model_cfg(name)
    model = build_model(cfg).eval()
    for parameter in model.parameters():  # far from the initial weights, where all is alike
        parameter.data += 0.1 * torch.randn_like(parameter)
    return exportable(model, SIZE, 0 if "ris" in name or name == "rsis" else 5)


def inputs_of(module):
    return [torch.rand_like(image) * 255 for image in module.example()]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_torch_export_equals_the_model(name, tmp_path):
    module = exported_model(name)
    path = export(module, tmp_path / "model.pt2")
    again = torch.export.load(path).module()
    inputs = inputs_of(module)
    with torch.no_grad():
        expected, found = module(*inputs), again(*inputs)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt2"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_onnx_equals_the_model(name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module = exported_model(name)
    path = export(module, tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(path))
    inputs = inputs_of(module)
    fed = {n: x.numpy() for n, x in zip(module.input_names, inputs, strict=True)}
    with torch.no_grad():
        expected = module(*inputs)
    for one, other in zip(expected, session.run(list(module.output_names), fed), strict=True):
        torch.testing.assert_close(torch.from_numpy(other), one, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_an_onnx_file_runs_without_the_package(tmp_path, root):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    export(exported_model("rsis"), tmp_path / "model.onnx")
    Image.fromarray(np.full((40, 50, 3), 100, np.uint8)).save(tmp_path / "image.png")
    script = (root / "tools" / "run_onnx.py").read_text()
    assert "recseg" not in script
    arguments = [str(tmp_path / name) for name in ("model.onnx", "image.png", "labels.png")]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    assert Image.open(tmp_path / "labels.png").size == (50, 40)


def test_other_files_and_sizes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"expected a name that ends in one of \.pt2"):
        export(exported_model("rsis"), tmp_path / "model.pth")
    with pytest.raises(UserError, match="--size is 33 32; expected multiples of 2"):
        exportable(exported_model("instancefcn").model, (33, 32), 5)
    dense = load_config("dense_small.yaml", ["MODEL.DEVICE", "cpu"])
    with pytest.raises(UserError, match="DenseAttentionSeg cannot be exported"):
        exportable(build_model(dense), SIZE, 0)
