"""Every built-in data set, made small, under its own name; those of files in official layouts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.catalog import unregister
from recseg_d2.data.sources import builtin_sources
from recseg_d2.data.synthetic.layouts import LAYOUTS

# layout: its place in $DETECTRON2_DATASETS, and its optional library
PLACES = {
    "voc": (".", None),
    "coco_2014": ("coco", "skimage"),
    "cityscapes": ("cityscapes", None),
    "kitti": ("kitti", None),
    "kitti2015": ("kitti2015", None),
    "cvppp": ("cvppp", None),
    "cvppp_h5": ("cvppp", "h5py"),
}
SIZE = 64
# The pair of VOC and SBD has three kinds of images: fewer would leave some data set empty.
TRAIN_SEEDS, VAL_SEEDS = list(range(7)), list(range(100, 102))
# Of the drawn scenes, one in six shapes is a zebra, and zebras have data sets of their own.
ZEBRA_VAL_SEEDS = list(range(100, 106))
_LIBRARIES = {"cvppp2017": "h5py", "recseg_coco": "skimage"}


def write_official(root: Path) -> None:
    """Write every layout whose library is there into what is to be $DETECTRON2_DATASETS."""
    for layout, (place, library) in PLACES.items():
        if library is None or find_spec(library):
            val = ZEBRA_VAL_SEEDS if layout == "coco_2014" else VAL_SEEDS
            for part, seeds in (("train", TRAIN_SEEDS), ("val", val)):
                LAYOUTS[layout](root / place, part, seeds, SIZE)


def missing_library(dataset_name: str) -> str | None:
    """What is not installed and needed to write that data set."""
    for prefix, library in _LIBRARIES.items():
        if dataset_name.startswith(prefix) and not find_spec(library):
            return library
    return None


def official_names() -> list[str]:
    """The built-in data sets that are read from files."""
    return [n for n in DatasetCatalog.list() if n.startswith(("recseg_", "cvppp"))]


@contextmanager
def registered_at(root: Path) -> Iterator[None]:
    """The built-in names read from ``root`` meanwhile."""
    before = {n: (DatasetCatalog[n], MetadataCatalog.get(n)) for n in official_names()}
    _remove()
    old = os.environ.get("DETECTRON2_DATASETS")
    os.environ["DETECTRON2_DATASETS"] = str(root)
    try:
        for source in builtin_sources(root):
            if source.name in before:
                source.register()
        yield
    finally:
        if old is None:
            del os.environ["DETECTRON2_DATASETS"]
        else:
            os.environ["DETECTRON2_DATASETS"] = old
        _remove()
        for name, (source, metadata) in before.items():
            DatasetCatalog[name], MetadataCatalog[name] = source, metadata


@contextmanager
def few_drawn(number: int) -> Iterator[None]:
    """The built-in data sets that are drawn have so many images each meanwhile, not hundreds."""
    before = {n: DatasetCatalog[n] for n in DatasetCatalog.list() if n.startswith("synthetic_")}
    for name, source in before.items():
        DatasetCatalog[name] = replace(source, num_images=number)
    try:
        yield
    finally:
        for name, source in before.items():
            DatasetCatalog[name] = source


def _remove() -> None:
    for name in official_names():
        unregister(name)
