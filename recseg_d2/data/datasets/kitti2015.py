"""KITTI's instance segmentation of 2015.

Names ``recseg_kitti2015_{train,val,trainval,test}`` with the eight classes of Cityscapes, and
``recseg_kitti2015_car_{train,val,trainval,test}`` with the cars alone, read from
``$DETECTRON2_DATASETS`` (default ``datasets``) when they are first used:

    kitti2015/training/image_2/NNNNNN_10.png      200 images
    kitti2015/training/instance/NNNNNN_10.png     class * 256 + instance, 16 bits
    kitti2015/testing/image_2/NNNNNN_10.png       200 images, without labels

The benchmark has no validation set: "val" is every fifth image of the training set by name, from
the first on. Instance 0 of a class says that there is no instance ground truth, so it is a crowd.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.datasets.kitti import CAR_METRICS
from recseg_d2.data.datasets.labelled_images import LabelledImage, LabelledImages, check_files
from recseg_d2.data.instance_ids import (
    CLASSES,
    KITTI_DIVISOR,
    LABEL_IDS,
    InstanceIdRule,
    read_instance_ids,
)
from recseg_d2.errors import UserError

SPLITS = ("train", "val", "trainval", "test")

_VAL_EVERY = 5
_HOW_TO_GET = (
    "Unpack data_semantics.zip of www.cvlibs.net/datasets/kitti (semantic instance segmentation) "
    "there, or set DETECTRON2_DATASETS to the folder above kitti2015/, or write a synthetic set: "
    "recseg make-dataset kitti2015 {root}."
)


def register_kitti2015(name: str, root: str | Path, split: str, cars_only: bool = False) -> None:
    """Register a split of the training images, or the test images.

    Args:
        name: for the catalogs.
        root: has training/ and testing/.
        split: one of ``SPLITS``; "test" gives dicts without annotations.
        cars_only: keep the cars, scored as those of ``register_kitti_cars``; else the eight classes
            of Cityscapes, with COCO's scores.

    Raises:
        UserError: the split is unknown.
    """
    if split not in SPLITS:
        raise UserError(f"KITTI 2015: found split {split!r}, expected one of {', '.join(SPLITS)}.")
    classes = ("car",) if cars_only else CLASSES
    rule = InstanceIdRule([LABEL_IDS[CLASSES.index(c)] for c in classes], KITTI_DIVISOR)
    source = LabelledImages(
        name=name,
        find=partial(find_files, Path(root), split),
        read=read_instance_ids,
        annotate=rule.annotations,
    )
    DatasetCatalog.register(name, source)
    metadata = MetadataCatalog.get(name).set(
        thing_classes=list(classes), evaluator_type="leaf" if cars_only else "coco"
    )
    if cars_only:
        metadata.set(metrics=CAR_METRICS)


def find_files(root: Path, split: str) -> list[LabelledImage]:
    """The files of a split, by name.

    Raises:
        UserError: there is no image, or one without its labels.
    """
    part = root / ("testing" if split == "test" else "training")
    folder, how_to_get = part / "image_2", _HOW_TO_GET.format(root=root)
    images = sorted(folder.glob("*.png"))
    if not images:
        raise UserError(f"{folder}: found no image, expected NNNNNN_10.png in it. {how_to_get}")
    if split == "test":
        return [LabelledImage(image.stem, image, None) for image in images]
    chosen = [image for i, image in enumerate(images) if _is_in_split(i, split)]
    files = [LabelledImage(i.stem, i, part / "instance" / i.name) for i in chosen]
    check_files(files, folder, how_to_get)
    return files


def _is_in_split(index: int, split: str) -> bool:
    return split == "trainval" or (index % _VAL_EVERY == 0) == (split == "val")


def register_builtin() -> None:
    """Register the names in the module's docstring; nothing is read until they are used."""
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "kitti2015"
    for split in SPLITS:
        register_kitti2015(f"recseg_kitti2015_{split}", root, split)
        register_kitti2015(f"recseg_kitti2015_car_{split}", root, split, cars_only=True)
