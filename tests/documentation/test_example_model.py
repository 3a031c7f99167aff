"""The example of a model in one file learns, and works with the tools."""

from __future__ import annotations

import json
import runpy

import pytest
import torch
from detectron2.modeling import META_ARCH_REGISTRY, build_model
from detectron2.structures import BitMasks, Instances

from recseg_d2 import config
from recseg_d2.cli import predict, train
from recseg_d2.data.synthetic.layouts import LAYOUTS

SMALL = [
    *("MODEL.META_ARCHITECTURE", "CanvasSeg", "MODEL.CANVAS_SEG.WIDTH", "8"),
    *("MODEL.SMALL_ENCODER.WIDTHS", "[8,8]", "MODEL.SEQUENTIAL.IMAGE_SIZE", "(32,32)"),
    *("MODEL.SEQUENTIAL.STEPS", "3", "MODEL.DEVICE", "cpu", "INPUT.AUGS", "()"),
]


@pytest.fixture
def example(root):
    """What the example registers is there, and forgotten afterwards."""
    runpy.run_path(str(root / "docs" / "examples" / "canvas_seg.py"))
    yield
    del META_ARCH_REGISTRY._obj_map["CanvasSeg"], config.NODES["MODEL.CANVAS_SEG"]


def squares():
    """A dict of an image with a light square at each side, and both as true objects."""
    image = torch.zeros(3, 32, 32)
    masks = torch.zeros(2, 32, 32, dtype=torch.bool)
    masks[0, 4:14, 4:14] = masks[1, 18:28, 16:30] = True
    image[:, masks.any(0)] = 200.0
    truth = Instances((32, 32), gt_masks=BitMasks(masks), gt_classes=torch.zeros(2).long())
    return {"image": image, "height": 32, "width": 32, "instances": truth}


def test_it_learns_an_image_and_stops_behind_its_last_object(example):
    torch.manual_seed(0)
    model = build_model(config.load_config("rsis_small.yaml", SMALL))
    record = squares()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(150):
        losses = model([record])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    found = model.eval()([record])[0]["instances"]
    truth = record["instances"].gt_masks.tensor
    assert len(found) == 2
    shared = (found.pred_masks[:, None] & truth).sum((2, 3))
    union = (found.pred_masks[:, None] | truth).sum((2, 3))
    assert sorted((shared / union).argmax(1).tolist()) == [0, 1]
    assert (shared / union).amax(1).min() > 0.8


@pytest.mark.slow
def test_the_tools_train_and_use_it(example, tmp_path):
    for part, seeds in (("train", [0, 1]), ("val", [2])):
        LAYOUTS["label_maps"](tmp_path, part, seeds, 48)
    data = ["--train-data", str(tmp_path / "train"), "--val-data", str(tmp_path / "val")]
    run = str(tmp_path / "run")
    short = ["SOLVER.MAX_ITER", "2", "SOLVER.IMS_PER_BATCH", "2", "TEST.NUM_PICTURES", "1"]
    short += ["MODEL.SEQUENTIAL.TEST.SCORE_THRESH", "0.0", "OUTPUT_DIR", run]
    assert train.main(["--config-file", "rsis_small.yaml", *data, *SMALL, *short]) == 0
    lines = (tmp_path / "run" / "metrics.json").read_text().splitlines()
    measured = {key for line in lines for key in json.loads(line)}
    assert {"loss_mask", "loss_stop", "label_map/SBD"} <= measured
    images, found = str(tmp_path / "val" / "images"), str(tmp_path / "found")
    assert predict.main(["--weights", run, "--input", images, "--output", found]) == 0
    assert len((tmp_path / "found" / "counts.csv").read_text().splitlines()) == 2
