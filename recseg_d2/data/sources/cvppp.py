"""CVPPP leaf segmentation, set A1, as folders of 2014 and as HDF5 files of 2017.

Folders (names ``cvppp_a1_*``)

    $DETECTRON2_DATASETS/cvppp/A1/plantNNN_rgb.png, plantNNN_label.png       128 images
    $DETECTRON2_DATASETS/cvppp/A1_test/plantNNN_rgb.png                      33, without labels

HDF5 files (names ``cvppp2017_a1_*``)

    $DETECTRON2_DATASETS/cvppp/CVPPP2017_training_images.h5    <group>/<plant>/rgb (H, W, 3 or 4)
    $DETECTRON2_DATASETS/cvppp/CVPPP2017_training_truth.h5     <group>/<plant>/label (H, W)
    $DETECTRON2_DATASETS/cvppp/CVPPP2017_testing_images.h5     groups are A1 to A4

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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.io.hdf5 import h5_path, open_h5_group
from recseg_d2.data.problems import Record
from recseg_d2.data.sources.base import DataSource, check_choice
from recseg_d2.data.sources.label_maps import pair_folder
from recseg_d2.data.sources.labelled_images import LabelledImage, LabelledImages
from recseg_d2.errors import UserError

SPLITS = ("train", "val", "rsis_train", "rsis_val", "trainval", "test")
LEAVES = {"thing_classes": ("leaf",), "evaluator_type": "label_map"}

REN_SEED, REN_TRAIN_SHARE = 2, 0.8
RSIS_TRAIN_SHARE = 96 / 128


@dataclass(frozen=True)
class Cvppp(LabelledImages):
    """A split of a folder of ``*_rgb.png`` and ``*_label.png``.

    Attributes:
        folder: the folder of the plants' images, such as ".../A1".
        split: one of ``SPLITS``; with "test" there may be no label map at all.
    """

    folder: Path
    split: str = "trainval"
    METADATA: ClassVar = LEAVES

    def find(self) -> list[LabelledImage]:
        """The plants of the split."""
        images = {i.image_id: i for i in pair_folder(self.folder, self.folder, "_rgb", "_label")}
        found = [images[plant] for plant in split_plants(sorted(images), self.split)]
        if self.split == "test" and not any(i.labels and i.labels.is_file() for i in found):
            return [replace(image, labels=None) for image in found]
        return found


@dataclass(frozen=True)
class CvpppH5(DataSource[str]):
    """A split of a group of the HDF5 files, by the plants' names; images are never extracted.

    Attributes:
        image_file: HDF5 file that has ``<group>/<plant>/rgb``.
        label_file: HDF5 file that has ``<group>/<plant>/label``; None gives dicts without
            annotations.
        group: the experiment that the plants are of, "A1" to "A4".
        split: one of ``SPLITS``.
    """

    image_file: Path
    label_file: Path | None = None
    group: str = "A1"
    split: str = "trainval"
    METADATA: ClassVar = LEAVES

    def find(self) -> list[str]:
        """The plants of the split."""
        with open_h5_group(self.image_file, self.group) as plants:
            return split_plants(sorted(plants), self.split)

    def read(self, item: str) -> Record:
        """The standard dict, whose "file_name" is a path into the HDF5 file."""
        with open_h5_group(self.image_file, self.group) as plants:
            where = f"{self.group}/{item}/rgb"
            if "rgb" not in plants[item]:
                raise UserError(f"{self.image_file}: no data set {where}; expected one per plant.")
            size = plants[item]["rgb"].shape[:2]
        name = h5_path(self.image_file, where)
        record = {"file_name": name, "height": size[0], "width": size[1], "image_id": item}
        if self.label_file is None:
            return record
        return {**record, "annotations": label_map_to_annotations(self._labels(item, size))}

    def file_of(self, item: str) -> str:
        """The path into the HDF5 file."""
        return h5_path(self.image_file, f"{self.group}/{item}/rgb")

    def _labels(self, plant: str, size: tuple[int, int]) -> np.ndarray:
        """The (H, W) label map of a plant."""
        assert self.label_file is not None
        where = f"{self.label_file}: {self.group}/{plant}/label"
        with open_h5_group(self.label_file, self.group) as plants:
            if plant not in plants or "label" not in plants[plant]:
                raise UserError(f"{where} is missing; expected one for each image.")
            labels = np.asarray(plants[plant]["label"])
        if labels.shape != size or labels.dtype.kind not in "ui":
            raise UserError(
                f"{where}: found {labels.shape} of {labels.dtype}, expected integers of "
                f"the image's size {size}."
            )
        return labels


def split_plants(plants: list[str], split: str) -> list[str]:
    """The plants of a split, in the order of their names.

    Args:
        plants: names of all images, sorted.
        split: one of ``SPLITS``; "trainval" and "test" are all.

    Raises:
        UserError: the split is unknown.
    """
    check_choice("CVPPP split", split, SPLITS)
    if split in ("trainval", "test"):
        return list(plants)
    if split.startswith("rsis"):
        order, first = np.arange(len(plants)), round(RSIS_TRAIN_SHARE * len(plants))
    else:
        order = np.random.RandomState(REN_SEED).permutation(len(plants))
        first = math.ceil(REN_TRAIN_SHARE * len(plants))
    chosen = order[:first] if split.endswith("train") else order[first:]
    return [plants[i] for i in sorted(chosen)]


def builtin(root: Path) -> Iterator[DataSource]:
    """The data sets of the module's docstring."""
    root = root / "cvppp"
    for split in SPLITS:
        is_test = split == "test"
        yield Cvppp(f"cvppp_a1_{split}", root / ("A1_test" if is_test else "A1"), split)
        images = root / f"CVPPP2017_{'testing' if is_test else 'training'}_images.h5"
        labels = None if is_test else root / "CVPPP2017_training_truth.h5"
        yield CvpppH5(f"cvppp2017_a1_{split}", images, labels, split=split)
