"""KITTI's instance segmentation of 2015.

Names ``recseg_kitti2015_{train,val,trainval,test}`` with the eight classes of Cityscapes, and
``recseg_kitti2015_car_{train,val,trainval,test}`` with the cars alone, in ``$DETECTRON2_DATASETS``:

    kitti2015/training/image_2/NNNNNN_10.png      200 images
    kitti2015/training/instance/NNNNNN_10.png     class * 256 + instance, 16 bits
    kitti2015/testing/image_2/NNNNNN_10.png       200 images, without labels

The benchmark has no validation set: "val" is every fifth image of the training set by name, from
the first on. Instance 0 of a class says that there is no instance ground truth, so it is a crowd.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recseg_d2.data.sources.base import DataSource, check_choice
from recseg_d2.data.sources.instance_ids import (
    KITTI_DIVISOR,
    LABEL_IDS,
    STREET_CLASSES,
    InstanceIdRule,
    read_instance_ids,
)
from recseg_d2.data.sources.kitti import CAR_METADATA
from recseg_d2.data.sources.labelled_images import LabelledImage, LabelledImages, LabelMap
from recseg_d2.errors import UserError

SPLITS = ("train", "val", "trainval", "test")

_VAL_EVERY = 5
_ALL = InstanceIdRule(LABEL_IDS, KITTI_DIVISOR)
_CARS = InstanceIdRule([LABEL_IDS[STREET_CLASSES.index("car")]], KITTI_DIVISOR)


@dataclass(frozen=True)
class Kitti2015(LabelledImages):
    """A split of the training images, or the test images, by name.

    Attributes:
        root: the folder that has training/ and testing/.
        split: one of ``SPLITS``; "test" gives dicts without annotations.
        cars_only: keep the cars, scored as ``KittiCars``; else the eight classes of Cityscapes,
            with COCO's scores.
    """

    root: Path
    split: str
    cars_only: bool = False

    def __post_init__(self) -> None:
        check_choice("KITTI 2015 split", self.split, SPLITS)

    @property
    def place(self) -> Path:
        """The folder of the images."""
        part = "testing" if self.split == "test" else "training"
        return self.root / part / "image_2"

    def find(self) -> list[LabelledImage]:
        """The images of the split."""
        images = sorted(self.place.glob("*.png"))
        if not images:
            raise UserError(
                f"{self.place}: found no image, expected NNNNNN_10.png in it. {self.advice()}"
            )
        if self.split == "test":
            return [LabelledImage(image.stem, image) for image in images]
        labels = self.place.parent / "instance"
        return [
            LabelledImage(image.stem, image, labels / image.name)
            for number, image in enumerate(images)
            if self.split == "trainval" or (number % _VAL_EVERY == 0) == (self.split == "val")
        ]

    def advice(self, item: LabelledImage | None = None) -> str:
        """Where the data is to be had."""
        return (
            "Unpack data_semantics.zip of www.cvlibs.net/datasets/kitti (semantic instance "
            "segmentation) there, or set DETECTRON2_DATASETS to the folder above kitti2015/, or "
            f"write a synthetic set: recseg make-dataset kitti2015 {self.root}."
        )

    def read_labels(self, path: Path) -> LabelMap:
        """The objects of an instance id file, and what was not taken apart."""
        return (_CARS if self.cars_only else _ALL).label_map(read_instance_ids(path))

    def metadata(self) -> dict[str, Any]:
        """Cars as in ``kitti``, or the eight classes."""
        every = {"thing_classes": STREET_CLASSES, "evaluator_type": "coco"}
        return CAR_METADATA if self.cars_only else every


def builtin(root: Path) -> Iterator[DataSource]:
    """The data sets of the module's docstring."""
    for split in SPLITS:
        yield Kitti2015(f"recseg_kitti2015_{split}", root / "kitti2015", split)
        yield Kitti2015(f"recseg_kitti2015_car_{split}", root / "kitti2015", split, cars_only=True)
