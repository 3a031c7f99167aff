"""Cityscapes instances, eight classes.

Names ``recseg_cityscapes_{train,val,test}``, in ``$DETECTRON2_DATASETS``:

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

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recseg_d2.data.sources.base import DataSource, check_choice
from recseg_d2.data.sources.instance_ids import (
    CITYSCAPES_DIVISOR,
    LABEL_IDS,
    STREET_CLASSES,
    InstanceIdRule,
    read_instance_ids,
)
from recseg_d2.data.sources.labelled_images import LabelledImage, LabelledImages, LabelMap
from recseg_d2.errors import UserError

SPLITS = ("train", "val", "test")

_IMAGE = "_leftImg8bit.png"
_LABELS = "_gtFine_instanceIds.png"
_RULE = InstanceIdRule(LABEL_IDS, CITYSCAPES_DIVISOR)


@dataclass(frozen=True)
class Cityscapes(LabelledImages):
    """A split of Cityscapes, by city and name.

    Attributes:
        root: the folder that has leftImg8bit/ and gtFine/.
        split: one of ``SPLITS``; "test" gives dicts without annotations.
    """

    root: Path
    split: str

    def __post_init__(self) -> None:
        check_choice("Cityscapes split", self.split, SPLITS)

    @property
    def place(self) -> Path:
        """The folder of the split's images."""
        return self.root / "leftImg8bit" / self.split

    def find(self) -> list[LabelledImage]:
        """The images of all cities."""
        images = sorted(self.place.glob(f"*/*{_IMAGE}"))
        if not images:
            found = "a folder without them" if self.place.is_dir() else "no such folder"
            raise UserError(
                f"{self.place}: expected <city>/*{_IMAGE}, found {found}. {self.advice()}"
            )
        return [self._files(image) for image in images]

    def advice(self, item: LabelledImage | None = None) -> str:
        """Where the data is to be had."""
        return (
            "Unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of "
            "www.cityscapes-dataset.com there, or set DETECTRON2_DATASETS to the folder above "
            f"cityscapes/, or write a synthetic set: recseg make-dataset cityscapes {self.root}."
        )

    def read_labels(self, path: Path) -> LabelMap:
        """The objects and groups of an instance id file."""
        return _RULE.label_map(read_instance_ids(path))

    def metadata(self) -> dict[str, Any]:
        """The eight classes and their label ids, scored as in the benchmark; else one class."""
        if self.one_class:
            return {"thing_classes": STREET_CLASSES, "evaluator_type": "coco"}
        return {
            "thing_classes": STREET_CLASSES,
            "label_ids": list(LABEL_IDS),
            "evaluator_type": "recseg_cityscapes",
            "image_root": str(self.place),
        }

    def _files(self, image: Path) -> LabelledImage:
        city, stem = image.parent.name, image.name.removesuffix(_IMAGE)
        extras = {
            "disparity_file": self.root / "disparity" / self.split / city / f"{stem}_disparity.png",
            "camera_file": self.root / "camera" / self.split / city / f"{stem}_camera.json",
        }
        there = {key: path for key, path in extras.items() if path.is_file()}
        if self.split == "test":
            return LabelledImage(stem, image, None, there)
        labels = self.root / "gtFine" / self.split / city / f"{stem}{_LABELS}"
        return LabelledImage(stem, image, labels, {"instance_ids_file": labels, **there})


def builtin(root: Path) -> Iterator[DataSource]:
    """The data sets of the module's docstring."""
    for split in SPLITS:
        yield Cityscapes(f"recseg_cityscapes_{split}", root / "cityscapes", split)
