"""Exported models equal those that were exported."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from engine.tiny_models import MODELS, tiny_model_cfg
from PIL import Image

from recseg_d2.engine.export import export
from recseg_d2.engine.exportables import exportable
from recseg_d2.errors import UserError

SIZE = (32, 32)
COUNT = 4  # twice as many as objects, after which a search ends
WITHOUT_ONNX = "ONNX is tested where the extra is installed: pip install recseg_d2[onnx]."
MORE = {  # than the models that tests of training have
    "ris full": [
        *MODELS["ris"],
        *("MODEL.RIS.PREPROCESSOR.ENABLED", True, "MODEL.NUM_CLASSES", 3),
        *("MODEL.RIS.PREPROCESSOR.WIDTHS", ((4, 4), (4, 6))),
        *("MODEL.RIS.PREPROCESSOR.SKIPS", (1, 1)),
    ],
    "dense": [
        *("MODEL.META_ARCHITECTURE", "DenseAttentionSeg", "MODEL.NUM_CLASSES", 2),
        *("MODEL.BACKBONE.NAME", "build_residual_encoder_backbone"),
        *("MODEL.RESIDUAL_ENCODER.WIDTHS", (8, 8, 12)),
        *("MODEL.DENSE_ATTENTION.NETWORK.COARSE_WIDTH", 8),
        *("MODEL.DENSE_ATTENTION.NETWORK.HEAD_WIDTH", 8),
        *("MODEL.DENSE_ATTENTION.NETWORK.WINDOW_WIDTHS", (8, 8, 8)),
        *("MODEL.DENSE_ATTENTION.NETWORK.CELLS", 12),
        *("MODEL.DENSE_ATTENTION.TEST.LOOKS_PER_ROUND", 1),
        *("MODEL.PIXEL_MEAN", [0.5] * 3, "MODEL.PIXEL_STD", [0.5] * 3),
        *("INPUT.RESIZE", "scale", "INPUT.INTENSITY.KIND", "percentiles"),
    ],
    "classifier": [
        *("MODEL.META_ARCHITECTURE", "MaskProposalClassifier", "MODEL.NUM_CLASSES", 3),
        *("MODEL.PROPOSAL_CLASSIFIER.FC_WIDTH", 16, "MODEL.PROPOSAL_CLASSIFIER.REGION_SIDE", 4),
        *("MODEL.PROPOSAL_CLASSIFIER.BOX_PATHWAY", True, "INPUT.INTENSITY.KIND", "range"),
    ],
}
NAMES = [*sorted(MODELS), *MORE]


def exported_model(name, count=COUNT):
    """The model with ``count`` steps, windows or looks; DenseAttentionSeg has half as many objects.

    What is exported grows with their number, and so does the time that it takes.
    """
    cfg = tiny_model_cfg(next(iter(MODELS)))
    cfg.merge_from_list(["MODEL.SEQUENTIAL.TEST.SCORE_THRESH", 0.0])  # all steps
    cfg.merge_from_list(MORE.get(name) or MODELS[name])
    cfg.merge_from_list(["MODEL.SEQUENTIAL.STEPS", count])
    cfg.merge_from_list(["MODEL.DENSE_ATTENTION.TEST.MAX_OBJECTS", count // 2])
    torch.manual_seed(1)
    model = build_model(cfg).eval()
    for parameter in model.parameters():  # far from the initial weights, where all is alike
        parameter.data += 0.1 * torch.randn_like(parameter)
    if name == "dense":
        model.network.heat.out[-1].bias.data += 2.0  # objects are everywhere ...
        model.network.box[-1].bias.data -= 1.0  # ... and small
    return exportable(model, SIZE, 0 if "ris" in name or name == "rsis" else count)


def inputs_of(module):
    image, *others = module.example()
    return [torch.rand(image.shape, generator=torch.Generator().manual_seed(1)) * 255, *others]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_exported_is_what_the_model_computes(name):
    module = exported_model(name)
    inputs = inputs_of(module)
    dict_ = {"image": inputs[0][0]}
    with torch.no_grad():
        outputs = dict(zip(module.output_names, module(*inputs), strict=True))
        if name == "classifier":
            logits = module.model.class_logits([dict_], [inputs[1].bool()])
            torch.testing.assert_close(outputs["classes"], logits.softmax(1), rtol=0, atol=1e-5)
            return
        if "masks" in outputs and name != "instancefcn":  # a threshold that cuts them in two
            cut = float(outputs["masks"].median())
            options = replace(module.model.test_options, mask_thresh=cut)
            module.model.test_options = options
        (found,) = module.model([dict_])
    if name == "instancefcn":  # before suppression, which keeps the best
        best = found["proposals"].objectness_logits.sigmoid().max()
        torch.testing.assert_close(outputs["scores"][0], best, rtol=0, atol=1e-5)
        return
    instances = found["instances"]
    assert len(instances) >= 2
    scores = outputs["scores"]
    if name == "ris full":  # an instance's score is that of its class as well
        scores = scores * outputs["classes"].amax(1)
    scores = scores[instances.step]
    torch.testing.assert_close(scores, instances.scores, rtol=0, atol=1e-5)
    for mask, step in zip(instances.pred_masks, instances.step.tolist(), strict=True):
        if name == "dense":
            assert torch.equal(torch.as_tensor(mask), outputs["labels"] == step + 1)
        else:
            assert outputs["masks"][step][torch.as_tensor(mask)].min() > cut - 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_torch_export_equals_the_model(name, tmp_path):
    module = exported_model(name, count=2)
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
    runtime = pytest.importorskip("onnxruntime", reason=WITHOUT_ONNX)
    pytest.importorskip("onnxscript", reason=WITHOUT_ONNX)
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
@pytest.mark.parametrize("name", ["rsis", "dense"])
def test_an_onnx_file_runs_without_the_package(name, tmp_path, root):
    pytest.importorskip("onnxruntime", reason=WITHOUT_ONNX)
    pytest.importorskip("onnxscript", reason=WITHOUT_ONNX)
    module = exported_model(name)
    pixels = np.random.default_rng(0).integers(0, 256, (*module.size, 3), dtype=np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    if name == "rsis":  # its first mask takes half of the image, between two pixels' values
        with torch.no_grad():
            ascending = module(image)[0][0].logit().flatten().sort().values
            middle = len(ascending) // 2
            module.model.decoder.mask_head.bias -= ascending[middle - 1 : middle + 1].mean()
    export(module, tmp_path / "model.onnx")
    Image.fromarray(pixels).save(tmp_path / "image.png")
    script = (root / "tools" / "run_onnx.py").read_text()
    assert "recseg" not in script
    arguments = [str(tmp_path / name) for name in ("model.onnx", "image.png", "labels.png")]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, cwd=tmp_path)
    labels = np.asarray(Image.open(tmp_path / "labels.png"))
    with torch.no_grad():
        found, scores, *_ = module(image)
    if name == "rsis":  # the first mask owns a pixel, and a sequence ends below 0.5
        length = int((scores >= 0.5).long().cumprod(0).sum())
        inside = torch.cat([found[:length] > 0.5, torch.ones_like(found[:1]) > 0.5])
        found = (inside.long().argmax(0) + 1) % (length + 1)
    assert len(found.unique()) > 2
    np.testing.assert_array_equal(labels, found.numpy())


def test_other_files_and_sizes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"expected a name that ends in one of \.pt2"):
        export(exported_model("rsis"), tmp_path / "model.pth")
    with pytest.raises(UserError, match="--size is 33 32; expected multiples of 2"):
        exportable(exported_model("instancefcn").model, (33, 32), 5)
    with pytest.raises(UserError, match="Linear cannot be exported"):
        exportable(torch.nn.Linear(1, 1), SIZE, 0)
