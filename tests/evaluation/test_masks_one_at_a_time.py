"""No evaluator, output or figure needs the masks of all objects of an image at once."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from detectron2.structures import Boxes, Instances
from one_at_a_time import one_at_a_time
from PIL import Image

from recseg_d2.engine.outputs import (
    OUTPUTS,
    ImageFiles,
    PredictedImage,
    PredictionWriter,
    SummaryFile,
)
from recseg_d2.evaluation import (
    ClassAgnosticCOCOEvaluator,
    LabelMapEvaluator,
    PredictionRecorder,
    SegmentProposalEvaluator,
    VocSegmEvaluator,
)
from recseg_d2.visualization.pictures import draw_pictures


@pytest.fixture
def found(truth) -> Instances:
    """Three masks over the first image, that overlap each other."""
    masks = np.stack([truth["a"] == 2, truth["a"] > 0, np.roll(truth["a"], 1, axis=1) == 1])
    return Instances(
        truth["a"].shape,
        pred_masks=torch.from_numpy(masks),
        pred_boxes=Boxes(torch.tensor([[2.0, 0, 4, 4], [0, 0, 4, 4], [1, 0, 3, 4]])),
        scores=torch.tensor([0.5, 0.25, 0.75]),
        pred_classes=torch.zeros(3, dtype=torch.int64),
        step=torch.tensor([2, 0, 1]),
    )


EVALUATORS = [
    LabelMapEvaluator,
    VocSegmEvaluator,
    ClassAgnosticCOCOEvaluator,
    PredictionRecorder,
    lambda name, folder: SegmentProposalEvaluator(name, folder, limits=(1, 2)),
    lambda name, folder: PredictionRecorder(name, folder, limit=2),
]


def files(folder) -> dict[str, object]:
    """What the files hold, but for the moment at which they were made."""
    return {str(path.relative_to(folder)): timeless(path) for path in folder.rglob("*.*")}


def timeless(path) -> object:
    """Archives note a time for each entry, and Detectron2's JSON one."""
    if path.suffix == ".zip":
        with ZipFile(path) as archive:
            return [(name, archive.read(name)) for name in archive.namelist()]
    return re.sub(rb'"date_created": "[^"]*"', b"", path.read_bytes())


@pytest.mark.parametrize("make", EVALUATORS)
def test_evaluators(make, register, found, tmp_path):
    name, results = register(), []
    for folder, instances in ((tmp_path / "1", found), (tmp_path / "2", one_at_a_time(found))):
        if make is LabelMapEvaluator:
            evaluator = make(name, output_dir=folder)
        else:
            evaluator = make(name, folder)
        evaluator.reset()
        record = {"image_id": 100, "file_name": "images/a.png"}
        evaluator.process([record], [{"instances": instances}])
        results.append(evaluator.evaluate())
    torch.testing.assert_close(*results, equal_nan=True)
    saved, again = files(tmp_path / "1"), files(tmp_path / "2")
    saved = {name: content for name, content in saved.items() if not name.endswith(".pth")}
    assert saved == {name: content for name, content in again.items() if not name.endswith(".pth")}


def test_outputs_and_pictures(found, tmp_path):
    height, width = found.image_size
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    record = {"file_name": str(tmp_path / "a.png"), "image_id": "a"}
    for folder, instances in ((tmp_path / "1", found), (tmp_path / "2", one_at_a_time(found))):
        writer = PredictionWriter(folder, list(OUTPUTS))
        writer.add(PredictedImage(tmp_path / "a.png", image, instances))
        writer.finish([tmp_path / "a.png"])
        model = torch.nn.Identity()
        draw_pictures(model, [record], [{"instances": instances}], folder / "pictures")
    saved = files(tmp_path / "1")
    assert {Path(name).parts[0] for name in saved} >= {
        *(name for name, output in OUTPUTS.items() if isinstance(output, ImageFiles)),
        *(output.name for output in OUTPUTS.values() if isinstance(output, SummaryFile)),
        "pictures",
    }
    again = files(tmp_path / "2")
    name = "ome/a.ome.tif"  # which has an id of its own each time
    assert len(saved.pop(name)) == len(again.pop(name))
    assert saved == again
