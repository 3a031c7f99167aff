"""Cityscapes instances, eight classes.

Names ``recseg_cityscapes_{train,val,test}``, read from ``$DETECTRON2_DATASETS`` (default
``datasets``) when they are first used:

    cityscapes/leftImg8bit/<split>/<city>/<city>_NNNNNN_NNNNNN_leftImg8bit.png
    cityscapes/gtFine/<split>/<city>/<city>_NNNNNN_NNNNNN_gtFine_instanceIds.png   not for test
    cityscapes/disparity/<split>/<city>/<city>_NNNNNN_NNNNNN_disparity.png         optional
    cityscapes/camera/<split>/<city>/<city>_NNNNNN_NNNNNN_camera.json              optional

Instances of the eight classes are objects, their groups (ids under 1000) are crowds, everything
else is background. Beside the standard keys a dict has, as far as the files are there,
"instance_ids_file", "disparity_file" and "camera_file" for the benchmark's evaluator. The labels of
the test set are withheld; the placeholders that are distributed for it are not read.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.datasets.labelled_images import LabelledImage, LabelledImages, check_files
from recseg_d2.data.instance_ids import (
    CITYSCAPES_DIVISOR,
    CLASSES,
    LABEL_IDS,
    InstanceIdRule,
    read_instance_ids,
)
from recseg_d2.errors import UserError

SPLITS = ("train", "val", "test")

_IMAGE = "_leftImg8bit.png"
_LABELS = "_gtFine_instanceIds.png"
_HOW_TO_GET = (
    "Unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of "
    "www.cityscapes-dataset.com there, or set DETECTRON2_DATASETS to the folder above "
    "cityscapes/, or write a synthetic set: recseg make-dataset cityscapes {root}."
)


def register_cityscapes(name: str, root: str | Path, split: str) -> None:
    """Register a split of Cityscapes; its files are looked for when it is first used.

    Args:
        name: for the catalogs.
        root: has leftImg8bit/ and gtFine/.
        split: one of ``SPLITS``; "test" gives dicts without annotations.

    Raises:
        UserError: the split is unknown.
    """
    if split not in SPLITS:
        raise UserError(f"Cityscapes: found split {split!r}, expected one of {', '.join(SPLITS)}.")
    source = LabelledImages(
        name=name,
        find=partial(find_files, Path(root), split),
        read=read_instance_ids,
        annotate=InstanceIdRule(LABEL_IDS, CITYSCAPES_DIVISOR).annotations,
    )
    DatasetCatalog.register(name, source)
    MetadataCatalog.get(name).set(
        thing_classes=list(CLASSES),
        label_ids=list(LABEL_IDS),
        evaluator_type="recseg_cityscapes",
        image_root=str(Path(root) / "leftImg8bit" / split),
    )


def find_files(root: Path, split: str) -> list[LabelledImage]:
    """The files of a split, by city and name.

    Raises:
        UserError: there is no image, or one without its labels.
    """
    folder, how_to_get = root / "leftImg8bit" / split, _HOW_TO_GET.format(root=root)
    images = sorted(folder.glob(f"*/*{_IMAGE}"))
    if not images:
        found = "a folder without them" if folder.is_dir() else "no such folder"
        raise UserError(f"{folder}: expected <city>/*{_IMAGE}, found {found}. {how_to_get}")
    files = [_files_of(root, split, image) for image in images]
    check_files(files, folder, how_to_get)
    return files


def _files_of(root: Path, split: str, image: Path) -> LabelledImage:
    city, stem = image.parent.name, image.name.removesuffix(_IMAGE)
    extras = {
        "disparity_file": root / "disparity" / split / city / f"{stem}_disparity.png",
        "camera_file": root / "camera" / split / city / f"{stem}_camera.json",
    }
    there = {key: path for key, path in extras.items() if path.is_file()}
    if split == "test":
        return LabelledImage(stem, image, None, there)
    labels = root / "gtFine" / split / city / f"{stem}{_LABELS}"
    return LabelledImage(stem, image, labels, {"instance_ids_file": labels, **there})


def register_builtin() -> None:
    """Register the names in the module's docstring; nothing is read until they are used."""
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "cityscapes"
    for split in SPLITS:
        register_cityscapes(f"recseg_cityscapes_{split}", root, split)
