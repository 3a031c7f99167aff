"""A tiny data set and config that every test of training shares."""

from __future__ import annotations

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.config import get_recseg_cfg

NAME = "tiny_rosettes"


@pytest.fixture(scope="session", autouse=True)
def tiny_dataset():
    """Six synthetic rosettes under a name of their own."""
    dicts = DatasetCatalog.get("synthetic_rosettes_dev")[:6]
    if NAME not in DatasetCatalog.list():
        DatasetCatalog.register(NAME, lambda: dicts)
        MetadataCatalog.get(NAME).set(thing_classes=["leaf"], evaluator_type="label_map")
    return NAME


@pytest.fixture
def tiny_cfg(tmp_path):
    """Trains in seconds; every mechanism can be switched on over it."""
    cfg = get_recseg_cfg()
    cfg.merge_from_list(
        [
            *("MODEL.META_ARCHITECTURE", "ConvLSTMSemInstSeg", "MODEL.DEVICE", "cpu"),
            *("MODEL.BACKBONE.NAME", "build_small_encoder_backbone"),
            *("MODEL.SMALL_ENCODER.WIDTHS", [4, 6], "MODEL.RSIS.HIDDEN_WIDTHS", [6, 4]),
            *("MODEL.SEQUENTIAL.IMAGE_SIZE", (32, 32), "MODEL.SEQUENTIAL.STEPS", 5),
            *("DATASETS.TRAIN", (NAME,), "DATASETS.TEST", ()),
            *("SOLVER.IMS_PER_BATCH", 2, "SOLVER.MAX_ITER", 4, "SOLVER.BASE_LR", 0.01),
            *("SOLVER.WARMUP_ITERS", 0, "SOLVER.CHECKPOINT_PERIOD", 2),
            *("INPUT.AUGS", ["hflip", "affine"], "TEST.NUM_PICTURES", 0),
            *("SOLVER.LOG_PERIOD", 1, "OUTPUT_DIR", str(tmp_path / "run")),
        ]
    )
    return cfg
