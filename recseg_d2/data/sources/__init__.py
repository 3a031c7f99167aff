"""Data sets. Importing this registers the built-in names; nothing is read or drawn until used."""

from collections.abc import Iterator
from pathlib import Path

from recseg_d2.data.catalog import datasets_root
from recseg_d2.data.sources import (
    cityscapes,
    coco,
    cvppp,
    kitti,
    kitti2015,
    synthetic,
    voc,
)
from recseg_d2.data.sources.base import DataSource

# Each has ``builtin``, which makes its data sets for a folder of all data sets.
MODULES = (synthetic, cvppp, coco, voc, cityscapes, kitti, kitti2015)


def builtin_sources(root: Path) -> Iterator[DataSource]:
    """Every built-in data set, read from ``root`` when it is used."""
    for module in MODULES:
        yield from module.builtin(root)


for _source in builtin_sources(datasets_root()):
    _source.register()
