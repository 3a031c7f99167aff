"""Pascal VOC 2012 and SBD.

    $DETECTRON2_DATASETS/VOC2012/{JPEGImages,SegmentationObject,SegmentationClass}/*
    $DETECTRON2_DATASETS/VOC2012/ImageSets/{Main,Segmentation}/{train,val}.txt
    $DETECTRON2_DATASETS/benchmark_RELEASE/dataset/{img,inst}/*, train.txt, val.txt     SBD

with the names

    recseg_voc_{train,val,trainval}     VOC's masks: 1464, 1449, 2913 images
    recseg_sbd_{train,val}              SBD's masks and lists: 8498, 2857
    recseg_voc_sds_{train,val}          SBD's masks, VOC's division: 5623, 5732 (SDS, InstanceFCN)
    recseg_voc_rsis_{train,val}         both, without VOC's val (RSIS, which tests on it)

VOC's masks are two palette PNGs of the image's size. ``SegmentationObject`` has 1, 2, ... for the
objects, ``SegmentationClass`` 1 to 20 for their classes, both 0 for background and 255 for void:
the outline of each object, and what the annotators left out. Void becomes one annotation with
"iscrowd" 1 and category 0 that stands for every class: no model is trained on it, and what is found
there counts neither for nor against it.

SBD's are ``inst/<stem>.mat`` with the struct ``GTinst``: ``Segmentation`` (H, W) has 1, 2, ... for
the objects and ``Categories`` (N, 1) their classes, 1 to 20. There is no void.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from recseg_d2.data.io.label_maps import read_label_map
from recseg_d2.data.sources import voc_splits
from recseg_d2.data.sources.base import DataSource, check_choice
from recseg_d2.data.sources.labelled_images import LabelledImage, LabelledImages, LabelMap
from recseg_d2.errors import UserError

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
VOID = 255
PARTS = ("train", "val")


class VocImages(LabelledImages):
    """Images with masks of Pascal VOC, of SBD, or of both; a subclass lists them."""

    METADATA: ClassVar = {"thing_classes": VOC_CLASSES, "evaluator_type": "voc_segm"}

    def advice(self, item: LabelledImage) -> str:
        """What to do about a missing file."""
        return voc_splits.ADVICE

    def read_labels(self, path: Path) -> LabelMap:
        """Read a PNG of SegmentationObject with that of SegmentationClass, or a .mat of SBD."""
        return read_sbd(path) if path.suffix == ".mat" else read_png_pair(path)


@dataclass(frozen=True)
class Voc(VocImages):
    """Images with Pascal VOC's masks.

    Attributes:
        root: the folder that has JPEGImages, SegmentationObject and SegmentationClass.
        image_set: name of a list of images, see ``voc_splits.voc_images``; None takes every image
            that has masks.
    """

    root: Path
    image_set: str | Path | None = None

    @property
    def place(self) -> Path:
        """The folder of the data set."""
        return self.root

    def find(self) -> list[LabelledImage]:
        """The images of the list."""
        return voc_splits.voc_images(self.root, self.image_set)


class Sbd(Voc):
    """Images with SBD's masks: ``root`` has img, inst and the lists train.txt and val.txt."""

    def find(self) -> list[LabelledImage]:
        """The images of ``voc_splits.sbd_images``."""
        return voc_splits.sbd_images(self.root, self.image_set)


@dataclass(frozen=True)
class VocSbd(VocImages):
    """A split over Pascal VOC and SBD.

    Attributes:
        voc_root: the folder of VOC 2012.
        sbd_root: the folder of SBD that has img/, cls/ and inst/.
        split: "sds" or "rsis", see ``voc_splits``.
        part: "train" or "val".
    """

    voc_root: Path
    sbd_root: Path
    split: str
    part: str

    def __post_init__(self) -> None:
        check_choice("VOC and SBD split", self.split, voc_splits.PAIRED_SPLITS)
        check_choice("VOC and SBD part", self.part, PARTS)

    def find(self) -> list[LabelledImage]:
        """The images of the split."""
        return voc_splits.PAIRED_SPLITS[self.split](self.voc_root, self.sbd_root, self.part)


def read_png_pair(path: Path) -> LabelMap:
    """The objects of a PNG of ``SegmentationObject``, with void as a crowd.

    Raises:
        UserError: a file is missing or damaged, the sizes differ, or an object has no class.
    """
    class_file = path.parent.parent / "SegmentationClass" / path.name
    labels, class_map = read_label_map(path), read_label_map(class_file)
    if labels.shape != class_map.shape:
        raise UserError(
            f"{class_file}: found {class_map.shape[1]}x{class_map.shape[0]} pixels, expected "
            f"the {labels.shape[1]}x{labels.shape[0]} of {path}."
        )
    found = [int(k) for k in np.unique(labels) if k not in (0, VOID)]
    # Some outlines are a pixel off in one of the two files, so the majority tells the class.
    numbers = {k: int(np.bincount(class_map[labels == k]).argmax()) for k in found}
    return LabelMap(labels, {**_categories(numbers, class_file), VOID: 0}, crowds=(VOID,))


def read_sbd(path: Path) -> LabelMap:
    """The objects of an ``inst/*.mat``.

    Raises:
        UserError: the file is missing, damaged, or has another content.
    """
    from scipy.io import loadmat  # takes a third of a second, which other data sets need not wait

    try:
        truth = loadmat(str(path))["GTinst"][0, 0]
        labels, classes = truth["Segmentation"], truth["Categories"].ravel()
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:  # scipy's and numpy's
        raise UserError(
            f"{path}: cannot be read as SBD's instances ({error}); expected a struct GTinst with "
            "Segmentation and Categories. Unpack it again."
        ) from error
    found = [int(k) for k in np.unique(labels) if k > 0]
    if labels.ndim != 2 or (found and found[-1] > len(classes)):
        raise UserError(
            f"{path}: found objects up to {max(found, default=0)} in a Segmentation of shape "
            f"{labels.shape} and {len(classes)} Categories; expected (H, W), and one category "
            "for each object. Unpack it again."
        )
    numbers = {k: int(classes[k - 1]) for k in found}
    return LabelMap(labels.astype(np.int32), _categories(numbers, path))


def builtin(root: Path) -> Iterator[DataSource]:
    """The data sets of the module's docstring."""
    voc, sbd = root / "VOC2012", root / "benchmark_RELEASE" / "dataset"
    yield Voc("recseg_voc_trainval", voc, "trainval")
    for part in PARTS:
        yield Voc(f"recseg_voc_{part}", voc, part)
        yield Sbd(f"recseg_sbd_{part}", sbd, part)
        for split in voc_splits.PAIRED_SPLITS:
            yield VocSbd(f"recseg_voc_{split}_{part}", voc, sbd, split, part)


def _categories(numbers: dict[int, int], path: Path) -> dict[int, int]:
    """Category of each label from its class, 1 to 20, that ``path`` tells."""
    for label, number in numbers.items():
        if not 1 <= number <= len(VOC_CLASSES):
            raise UserError(
                f"{path}: found class {number} for object {label}, expected 1 to "
                f"{len(VOC_CLASSES)}."
            )
    return {label: number - 1 for label, number in numbers.items()}
