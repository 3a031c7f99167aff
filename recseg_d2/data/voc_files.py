"""Instance masks as Pascal VOC and SBD store them.

Pascal VOC: two palette PNGs of the image's size. ``SegmentationObject`` has 1, 2, ... for the
objects, ``SegmentationClass`` 1 to 20 for their classes, both 0 for background and 255 for void:
the outline of each object, and what the annotators left out.

SBD: ``inst/<stem>.mat`` with the struct ``GTinst``: ``Segmentation`` (H, W) has 1, 2, ... for the
objects and ``Categories`` (N, 1) their classes, 1 to 20. There is no void. ``cls/<stem>.mat`` holds
the same classes as a map, and is not needed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.image_io import probe_image
from recseg_d2.data.label_io import read_label_map
from recseg_d2.errors import UserError

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
VOID = 255


@dataclass(frozen=True)
class VocImage:
    """The files of one image.

    Attributes:
        stem: such as "2008_000002", its ``image_id``.
        image: the JPEG.
        objects: the PNG of ``SegmentationObject``, or the ``.mat`` of SBD's ``inst``.
        classes: the PNG of ``SegmentationClass``; None for SBD.
    """

    stem: str
    image: Path
    objects: Path
    classes: Path | None = None


def read_voc_image(files: VocImage) -> dict[str, Any]:
    """The standard dict of an image.

    Void becomes one annotation with "iscrowd" 1 and category 0 that stands for every class: no
    model is trained on it, and what is found there counts neither for nor against it.

    Raises:
        UserError: a file is missing or damaged, sizes differ, or an object has no class.
    """
    height, width = probe_image(files.image, decode=False)
    labels, classes = _read_png_pair(files) if files.classes else read_sbd_instances(files.objects)
    if labels.shape != (height, width):
        raise UserError(
            f"{files.objects}: found {labels.shape[1]}x{labels.shape[0]} pixels, expected the "
            f"{width}x{height} of {files.image}."
        )
    categories = {label: number - 1 for label, number in classes.items()}
    annotations = label_map_to_annotations(labels, {**categories, VOID: 0}, crowds=(VOID,))
    return {
        "file_name": str(files.image),
        "height": height,
        "width": width,
        "image_id": files.stem,
        "annotations": annotations,
    }


def read_sbd_instances(path: Path) -> tuple[np.ndarray, dict[int, int]]:
    """Objects of an ``inst/*.mat``.

    Returns:
        labels: (H, W) int32, 0 is background.
        classes: 1 to 20 for each label.

    Raises:
        UserError: the file is missing, damaged, or has another content.
    """
    from scipy.io import loadmat  # takes a third of a second, which other data sets need not wait

    if not path.is_file():
        raise UserError(f"{path}: no such file; unpack SBD's benchmark.tgz there.")
    try:
        truth = loadmat(str(path))["GTinst"][0, 0]
        labels, categories = truth["Segmentation"], truth["Categories"].ravel()
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:  # scipy's and numpy's
        raise UserError(
            f"{path}: cannot be read as SBD's instances ({error}); expected a struct GTinst with "
            "Segmentation and Categories. Unpack it again."
        ) from error
    found = [int(k) for k in np.unique(labels) if k > 0]
    if labels.ndim != 2 or (found and found[-1] > len(categories)):
        raise UserError(
            f"{path}: found objects up to {max(found, default=0)} in a Segmentation of shape "
            f"{labels.shape} and {len(categories)} Categories; expected (H, W), and one category "
            "for each object. Unpack it again."
        )
    return labels.astype(np.int32), _checked({k: int(categories[k - 1]) for k in found}, path)


def _read_png_pair(files: VocImage) -> tuple[np.ndarray, dict[int, int]]:
    """(H, W) int32 labels with void as 255, and the class of each object's label."""
    assert files.classes is not None
    labels, class_map = read_label_map(files.objects), read_label_map(files.classes)
    if labels.shape != class_map.shape:
        raise UserError(
            f"{files.classes}: found {class_map.shape[1]}x{class_map.shape[0]} pixels, expected "
            f"the {labels.shape[1]}x{labels.shape[0]} of {files.objects}."
        )
    found = [int(k) for k in np.unique(labels) if k not in (0, VOID)]
    # Some outlines are a pixel off in one of the two files, so the majority tells the class.
    classes = {k: int(np.bincount(class_map[labels == k]).argmax()) for k in found}
    return labels, _checked(classes, files.classes)


def _checked(classes: dict[int, int], path: Path) -> dict[int, int]:
    for label, number in classes.items():
        if not 1 <= number <= len(CLASSES):
            raise UserError(
                f"{path}: found class {number} for object {label}, expected 1 to {len(CLASSES)}."
            )
    return classes
