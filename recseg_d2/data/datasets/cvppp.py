"""CVPPP leaf segmentation, set A1, in both of its forms.

Folders as of 2014 (names ``cvppp_a1_*``; ``$DETECTRON2_DATASETS`` defaults to ``datasets``)

    $DETECTRON2_DATASETS/cvppp/A1/plantNNN_rgb.png, plantNNN_label.png       128 images
    $DETECTRON2_DATASETS/cvppp/A1_test/plantNNN_rgb.png                      33, without labels

and HDF5 files as of 2017 (names ``cvppp2017_a1_*``), see ``cvppp_h5``

    $DETECTRON2_DATASETS/cvppp/CVPPP2017_training_images.h5, CVPPP2017_training_truth.h5
    $DETECTRON2_DATASETS/cvppp/CVPPP2017_testing_images.h5

each with the splits, of the n images in the order of their names,

    train, val              Ren & Zemel 2017: a permutation by ``RandomState(2)``; its first
                            ceil(0.8 n) are for training: 103 and 25 of 128
    rsis_train, rsis_val    Salvador et al. 2017: the first 96 of 128, then 32. Their code took the
                            files in the order of the disk, so only the sizes can be repeated
    trainval                all
    test                    the images of the test set; annotated only if label files are there
"""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.datasets.cvppp_h5 import CvpppH5
from recseg_d2.data.datasets.label_maps import LabelMapFolder
from recseg_d2.errors import UserError

CLASSES = ("leaf",)
SPLITS = ("train", "val", "rsis_train", "rsis_val", "trainval", "test")

REN_SEED, REN_TRAIN_SHARE = 2, 0.8
RSIS_TRAIN_SHARE = 96 / 128


def split_stems(stems: list[str], split: str) -> list[str]:
    """The images of a split, in the order of their names.

    Args:
        stems: of all annotated images, sorted.
        split: one of ``SPLITS``; "trainval" and "test" are all.

    Raises:
        UserError: the split is unknown.
    """
    if split not in SPLITS:
        raise UserError(f"CVPPP: found split {split!r}, expected one of {', '.join(SPLITS)}.")
    if split in ("trainval", "test"):
        return list(stems)
    if split.startswith("rsis"):
        order, first = np.arange(len(stems)), round(RSIS_TRAIN_SHARE * len(stems))
    else:
        order = np.random.RandomState(REN_SEED).permutation(len(stems))
        first = math.ceil(REN_TRAIN_SHARE * len(stems))
    chosen = order[:first] if split.endswith("train") else order[first:]
    return [stems[i] for i in sorted(chosen)]


def register_cvppp(name: str, folder: str | Path, split: str = "trainval") -> None:
    """Register a split of a folder of ``*_rgb.png`` and ``*_label.png``.

    Args:
        name: for the catalogs.
        folder: such as ".../A1"; it is read when the data set is first used.
        split: one of ``SPLITS``; with "test" the label maps may be missing.
    """
    source = LabelMapFolder(
        name=name,
        image_dir=Path(folder),
        label_dir=Path(folder),
        classes=CLASSES,
        image_suffix="_rgb",
        label_suffix="_label",
        select=partial(split_stems, split=split),
        labels_optional=split == "test",
    )
    _register(name, source)


def register_cvppp_h5(
    name: str,
    image_file: str | Path,
    label_file: str | Path | None = None,
    group: str = "A1",
    split: str = "trainval",
) -> None:
    """Register a split of a group of the 2017 HDF5 files; the images are never extracted.

    Args:
        name: for the catalogs.
        image_file: has ``<group>/<plant>/rgb``.
        label_file: has ``<group>/<plant>/label``; None where there are no labels.
        group: "A1" to "A4".
        split: one of ``SPLITS``.
    """
    source = CvpppH5(
        name=name,
        image_file=Path(image_file),
        label_file=Path(label_file) if label_file is not None else None,
        group=group,
        select=partial(split_stems, split=split),
    )
    _register(name, source)


def register_builtin() -> None:
    """Register the names in the module's docstring; nothing is read until they are used."""
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "cvppp"
    for split in SPLITS:
        folder = root / ("A1_test" if split == "test" else "A1")
        register_cvppp(f"cvppp_a1_{split}", folder, split)
        part = "testing" if split == "test" else "training"
        register_cvppp_h5(
            f"cvppp2017_a1_{split}",
            root / f"CVPPP2017_{part}_images.h5",
            None if split == "test" else root / "CVPPP2017_training_truth.h5",
            split=split,
        )


def _register(name: str, source: Any) -> None:
    DatasetCatalog.register(name, source)
    MetadataCatalog.get(name).set(thing_classes=list(CLASSES), evaluator_type="leaf")
