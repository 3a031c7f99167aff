"""A model for the tools that use one: it finds red, then green, then blue."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.modeling import META_ARCH_REGISTRY, build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.logger import setup_logger
from PIL import Image
from torch import nn

from recseg_d2.cli.own_data import FOLDER_TRAIN, FOLDER_VAL
from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.catalog import unregister
from recseg_d2.layers.boxes import masks_to_boxes

ARCHITECTURE = "ColorFinder"


@META_ARCH_REGISTRY.register()
class ColorFinder(nn.Module):
    """Instance k is where channel k is above a learned threshold; nothing where it never is."""

    score_key = "MODEL.SEQUENTIAL.TEST.SCORE_THRESH"

    def __init__(self, cfg) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(255.0))
        self.score_threshold = cfg.MODEL.SEQUENTIAL.TEST.SCORE_THRESH

    def forward(self, batched_inputs):
        return [{"instances": self._instances(x)} for x in batched_inputs]

    def _instances(self, dict_) -> Instances:
        masks = dict_["image"] > self.threshold
        scores = torch.tensor([0.9, 0.8, 0.7])
        found = (masks.flatten(1).any(1) & (scores >= self.score_threshold)).nonzero()[:, 0]
        return Instances(
            (dict_["height"], dict_["width"]),
            pred_masks=masks[found],
            pred_boxes=Boxes(masks_to_boxes(masks[found])),
            scores=scores[found],
            pred_classes=torch.zeros_like(found),
            step=found,
        )


@pytest.fixture(autouse=True)
def no_own_data_left():
    """Tools register the data that their command line names."""
    yield
    for name in (FOLDER_TRAIN, FOLDER_VAL):
        unregister(name)


@pytest.fixture
def trained(tmp_path) -> Path:
    """The output folder of a training run of ``ColorFinder``."""
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = ARCHITECTURE
    cfg.MODEL.DEVICE = "cpu"
    cfg.INPUT.FORMAT = "RGB"
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "config.yaml").write_text(cfg.dump())
    torch.save({"model": {"threshold": torch.tensor(100.0)}}, folder / "model_final.pth")
    return folder


@pytest.fixture
def images(tmp_path) -> Path:
    """Three images: two objects, none, and three of which the last is one pixel."""
    folder = tmp_path / "images"
    folder.mkdir()
    two = np.zeros((6, 8, 3), dtype=np.uint8)
    two[1:3, 2:6, 0] = 200
    two[4:6, 0:8, 2] = 200
    three = np.zeros((5, 5, 3), dtype=np.uint8)
    three[0:2, :, 0] = three[3, 1:4, 1] = three[4, 4, 2] = 200
    for name, array in (("two", two), ("none", np.zeros_like(two)), ("three", three)):
        Image.fromarray(array).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def tiny_run(tmp_path) -> Path:
    """The output folder of a tiny ConvLSTMSemInstSeg that was never trained."""
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "ConvLSTMSemInstSeg"
    cfg.MODEL.BACKBONE.NAME = "build_small_encoder_backbone"
    cfg.MODEL.SMALL_ENCODER.WIDTHS = (4, 4, 4)
    cfg.MODEL.RSIS.HIDDEN_WIDTHS = (4, 4, 4)
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (32, 32)
    cfg.MODEL.SEQUENTIAL.STEPS = 3
    cfg.MODEL.DEVICE = "cpu"
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(cfg.dump())
    torch.manual_seed(0)
    torch.save({"model": build_model(cfg).state_dict()}, folder / "model_final.pth")
    return folder


@pytest.fixture(autouse=True)
def no_handlers_left():
    """A tool's log handlers hold the streams of the test that ran it."""
    yield
    for name in ("detectron2", "fvcore", "recseg_d2"):
        logging.getLogger(name).handlers.clear()
    setup_logger.cache_clear()
