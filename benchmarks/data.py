"""Made images that loaders of a config's own read, augment and collate."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from recseg_d2.data.catalog import unregister
from recseg_d2.data.loader import build_test_loader, build_train_loader
from recseg_d2.data.sources.own_data import open_own_data
from recseg_d2.data.synthetic.layouts import export_dataset
from recseg_d2.data.synthetic.rosettes import MIN_SIZE

DATA = "benchmark_images"
IMAGES = 24


@contextmanager
def made_images(size: int) -> Iterator[None]:
    """Inside, the data set ``DATA`` has files of images of overlapping leaves with label maps.

    Args:
        size: pixels a side; smaller ones than leaves can be drawn in become as small as can be.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "data")
        size = max(size, MIN_SIZE)
        export_dataset("label_maps", out, range(IMAGES), range(IMAGES, IMAGES + 1), size)
        open_own_data(DATA, Path(out) / "train").register()
        try:
            yield
        finally:
            unregister(DATA)


def reading(cfg: CfgNode, mode: str, batch_size: int) -> Callable[[], Any]:
    """A function that gives the next batch of ``DATA``, read in this process.

    Args:
        cfg: a config, whose data is not looked at.
        mode: "training" augments; "inference" gives images alone.
        batch_size: images in a batch.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATASETS.TRAIN = (DATA,)
    cfg.DATALOADER.NUM_WORKERS = 0  # the work is the same, and can be timed
    cfg.SOLVER.IMS_PER_BATCH = batch_size
    if mode == "training":
        return partial(next, iter(build_train_loader(cfg)))
    batches = _without_end(cfg)
    return lambda: [next(batches)[0] for _ in range(batch_size)]


def _without_end(cfg: CfgNode) -> Iterator[Any]:
    loader = build_test_loader(cfg, DATA)
    while True:
        yield from loader
