"""A data set of two classes under a name of its own, and the config of a tiny model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.config import get_recseg_cfg

_numbers = count()


@pytest.fixture
def register() -> Iterator[Callable[[list[dict]], str]]:
    """Function that registers standard dicts and returns the data set's name."""
    names = []

    def _register(dicts: list[dict]) -> str:
        name = f"analysis_test_{next(_numbers)}"
        DatasetCatalog.register(name, lambda: dicts)
        MetadataCatalog.get(name).set(thing_classes=["person", "horse"])
        names.append(name)
        return name

    yield _register
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


@pytest.fixture
def cfg() -> CfgNode:
    """Of a tiny model that finds objects one after another."""
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "ConvLSTMSemInstSeg"
    cfg.MODEL.BACKBONE.NAME = "build_small_encoder_backbone"
    cfg.MODEL.SMALL_ENCODER.WIDTHS = (4, 6)
    cfg.MODEL.RSIS.HIDDEN_WIDTHS = (6, 4)
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (16, 32)
    cfg.MODEL.SEQUENTIAL.STEPS = 3
    cfg.MODEL.DEVICE = "cpu"
    return cfg
