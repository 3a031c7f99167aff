"""Pascal VOC 2012 and SBD.

    $DETECTRON2_DATASETS/VOC2012/{JPEGImages,SegmentationObject,SegmentationClass}/*
    $DETECTRON2_DATASETS/VOC2012/ImageSets/{Main,Segmentation}/{train,val}.txt
    $DETECTRON2_DATASETS/benchmark_RELEASE/dataset/{img,inst}/*, train.txt, val.txt     SBD

with the names

    recseg_voc_{train,val,trainval}     VOC's masks: 1464, 1449, 2913 images
    recseg_sbd_{train,val}              SBD's masks and lists: 8498, 2857
    recseg_voc_sds_{train,val}          SBD's masks, VOC's division: 5623, 5732 (SDS, InstanceFCN)
    recseg_voc_rsis_{train,val}         both, without VOC's val (RSIS, which tests on it)

Void is ignored, see ``voc_files``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.problems import Problem, read_all, survey_all
from recseg_d2.data.voc_files import CLASSES, VocImage, read_voc_image
from recseg_d2.data.voc_splits import PAIRED_SPLITS, sbd_images, voc_images
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

PARTS = ("train", "val")
VOC_METADATA = {"evaluator_type": "voc_segm"}


@dataclass(frozen=True)
class VocSource:
    """A source of standard dicts.

    Attributes:
        name: of the data set, for messages.
        images: finds the images; called when the data set is first used.
    """

    name: str
    images: Callable[[], list[VocImage]]

    def __call__(self) -> list[dict[str, Any]]:
        """The standard dicts; callers may change what they get."""
        return [{**r, "annotations": [dict(a) for a in r["annotations"]]} for r in self._records]

    def survey(self) -> tuple[list[dict[str, Any]], list[Problem]]:
        """The dicts of the good images, and what is wrong with the others."""
        return survey_all(read_voc_image, self.images(), lambda image: str(image.image))

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        records = read_all(read_voc_image, self.images())
        logger.info("%s: %d images.", self.name, len(records))
        return records


def register_voc(
    name: str,
    voc_root: str | Path,
    image_set: str | Path | None = None,
) -> None:
    """Register images with Pascal VOC's masks; nothing is read before it is used.

    Args:
        name: for the catalogs.
        voc_root: has JPEGImages, SegmentationObject and SegmentationClass.
        image_set: see ``voc_splits.voc_images``; None takes every image that has masks.
    """
    _register(name, partial(voc_images, Path(voc_root), image_set))


def register_sbd(
    name: str,
    sbd_root: str | Path,
    image_set: str | Path | None = None,
) -> None:
    """Register images with SBD's masks; nothing is read before it is used.

    Args:
        name: for the catalogs.
        sbd_root: has img, inst and the lists.
        image_set: see ``voc_splits.sbd_images``; None takes every image.
    """
    _register(name, partial(sbd_images, Path(sbd_root), image_set))


def register_voc_sbd(
    name: str,
    voc_root: str | Path,
    sbd_root: str | Path,
    split: str,
    part: str,
) -> None:
    """Register a split over VOC and SBD; nothing is read before it is used.

    Args:
        name: for the catalogs.
        voc_root: the folder of VOC 2012.
        sbd_root: SBD's folder.
        split: "sds" or "rsis", see ``voc_splits``.
        part: "train" or "val".

    Raises:
        UserError: the split or the part is unknown.
    """
    if split not in PAIRED_SPLITS or part not in PARTS:
        raise UserError(
            f"VOC and SBD: found split {split!r}, part {part!r}; expected one of "
            f"{', '.join(PAIRED_SPLITS)}, and train or val."
        )
    find = partial(PAIRED_SPLITS[split], Path(voc_root), Path(sbd_root), part)
    _register(name, find)


def register_builtin() -> None:
    """Register the names in the module's docstring; nothing is read until they are used."""
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets"))
    voc, sbd = root / "VOC2012", root / "benchmark_RELEASE" / "dataset"
    register_voc("recseg_voc_trainval", voc, "trainval")
    for part in PARTS:
        register_voc(f"recseg_voc_{part}", voc, part)
        register_sbd(f"recseg_sbd_{part}", sbd, part)
        for split in PAIRED_SPLITS:
            register_voc_sbd(f"recseg_voc_{split}_{part}", voc, sbd, split, part)


def _register(name: str, images: Callable[[], list[VocImage]]) -> None:
    DatasetCatalog.register(name, VocSource(name, images))
    MetadataCatalog.get(name).set(thing_classes=list(CLASSES), **VOC_METADATA)
