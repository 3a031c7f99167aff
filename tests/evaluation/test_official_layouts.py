"""The ground truth itself as predictions, on made data sets in official layouts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Instances

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.data.sources.cityscapes import Cityscapes
from recseg_d2.data.sources.voc import Sbd, Voc
from recseg_d2.data.synthetic.layouts import LAYOUTS
from recseg_d2.evaluation import build_evaluator

NAME = "evaluation_test_official"


@pytest.fixture
def cleared():
    yield
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def as_output(record: dict) -> dict[str, Instances]:
    """Every annotation, crowds too, as a prediction."""
    shape = (record["height"], record["width"])
    annotations = record["annotations"]
    masks = [decode_segmentation(a["segmentation"], shape, "") for a in annotations]
    instances = Instances(shape)
    instances.pred_masks = torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, *shape))
    instances.pred_classes = torch.tensor([a["category_id"] for a in annotations])
    instances.scores = torch.linspace(0.9, 0.5, len(annotations))
    return {"instances": instances}


def evaluate_truth(folder) -> dict[str, dict[str, float]]:
    evaluator = build_evaluator(get_recseg_cfg(), NAME, folder)
    evaluator.reset()
    for record in DatasetCatalog.get(NAME):
        evaluator.process([{"image_id": record["image_id"]}], [as_output(record)])
    return evaluator.evaluate()


def test_cityscapes(tmp_path, cleared):
    LAYOUTS["cityscapes"](tmp_path / "data", "val", list(range(4)), 128)
    Cityscapes(NAME, tmp_path / "data", "val").register()
    scores = evaluate_truth(tmp_path / "out")["cityscapes"]
    assert scores["AP"] == scores["AP50%"] == 100.0
    assert {"AP100m", "AP50m"} <= scores.keys()


@pytest.mark.parametrize("kind", ["voc", "sbd"])
def test_pascal_voc(tmp_path, cleared, kind):
    LAYOUTS["voc"](tmp_path, "val", list(range(6)), 64)
    if kind == "voc":
        Voc(NAME, tmp_path / "VOC2012").register()
    else:
        Sbd(NAME, tmp_path / "benchmark_RELEASE" / "dataset").register()
    scores = evaluate_truth(tmp_path / "out")["voc_segm"]
    assert scores["APr50"] == scores["APr70area"] == scores["AP80"] == 100.0
