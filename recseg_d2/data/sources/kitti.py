"""KITTI cars, as Ren & Zemel 2017 used them.

Names ``recseg_kitti_{train,val,test}``, in ``$DETECTRON2_DATASETS``:

    kitti/images/NNNNNN.png      KITTI's object images
    kitti/gt/NNNNNN.png          label maps of the cars, automatic; of the images in train.txt
    kitti/gt_man/NNNNNN.png      label maps, by hand; of those in valid_man.txt and test_man.txt
    kitti/train.txt, valid_man.txt, test_man.txt      an image a line; 3712, 120, 144 in the paper

A line is an image's number, or its file with or without folder and ending. A label map is any that
``io.label_maps`` reads: a number or a colour for each car.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recseg_d2.data.io.lists import read_list
from recseg_d2.data.sources.base import DataSource, check_choice
from recseg_d2.data.sources.labelled_images import LabelledImage, LabelledImages

# split: its list, the folder of its label maps
SPLITS = {
    "train": ("train.txt", "gt"),
    "val": ("valid_man.txt", "gt_man"),
    "test": ("test_man.txt", "gt_man"),
}
# Cars are scored by the metrics of the paper's table 3, and the count.
CAR_METADATA = {
    "thing_classes": ("car",),
    "evaluator_type": "label_map",
    "metrics": ("mwcov", "mucov", "avgfp", "avgfn", "dic"),
}

_DIGITS = 6  # of an image's number in its file name


@dataclass(frozen=True)
class KittiCars(LabelledImages):
    """A split of the KITTI cars, in the order of its list.

    Attributes:
        root: the folder that has images/, gt/, gt_man/ and the lists.
        split: one of ``SPLITS``.
    """

    root: Path
    split: str

    def __post_init__(self) -> None:
        check_choice("KITTI cars split", self.split, SPLITS)

    @property
    def place(self) -> Path:
        """The list of the split."""
        return self.root / SPLITS[self.split][0]

    def find(self) -> list[LabelledImage]:
        """The images of the list."""
        names = read_list(self.place, self.advice(), _stem)
        images, labels = self.root / "images", self.root / SPLITS[self.split][1]
        return [LabelledImage(n, images / f"{n}.png", labels / f"{n}.png") for n in names]

    def advice(self, item: LabelledImage | None = None) -> str:
        """Where the data is to be had."""
        return (
            "The images are those of KITTI's object detection (www.cvlibs.net/datasets/kitti); the "
            "labels and the lists are those of Chen et al. 2014 (automatic) and Zhang et al. 2015 "
            "(by hand), to be had from their authors. Set DETECTRON2_DATASETS to the folder above "
            f"kitti/, or write a synthetic set: recseg make-dataset kitti {self.root}."
        )

    def metadata(self) -> dict[str, Any]:
        """Cars, scored as in the paper."""
        return {**CAR_METADATA, "image_root": str(self.root / "images")}


def _stem(word: str) -> str:
    stem = Path(word).stem
    return stem.zfill(_DIGITS) if stem.isdecimal() else stem


def builtin(root: Path) -> Iterator[DataSource]:
    """The data sets of the module's docstring."""
    for split in SPLITS:
        yield KittiCars(f"recseg_kitti_{split}", root / "kitti", split)
