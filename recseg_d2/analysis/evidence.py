"""Predictions of an image beside its ground truth, as the few numbers that analyses need.

Masks are decoded one at a time; what stays of an image is a table of IoU and a row an object.
Shape letters: K predicted objects in the order of discovery, N true objects of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from recseg_d2 import rle
from recseg_d2.data.coco_results import Entry
from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import true_masks

NO_STEP = -1


@dataclass(frozen=True)
class PredictedObjects:
    """The predictions of an image, in the order of discovery.

    Attributes:
        size: height and width of the image in pixels.
        masks: compressed RLE of each of the K objects, as in the file.
        classes: (K,) int64, the class of each object from 0.
        scores: (K,) float, the greater the more certain.
        steps: (K,) int64 from 0; ``NO_STEP`` of models without an order, which then is the file's.
        areas: (K,) int64, area of each mask in pixels, above 0.
        centers: (K, 2) float, y and x of the centres of mass; a pixel's centre is at +0.5.
    """

    size: tuple[int, int]
    masks: list[rle.RLE]
    classes: np.ndarray
    scores: np.ndarray
    steps: np.ndarray
    areas: np.ndarray
    centers: np.ndarray

    @property
    def ordered(self) -> bool:
        """Whether the model found one object after another."""
        return bool((self.steps != NO_STEP).all())


@dataclass(frozen=True)
class ImageEvidence:
    """Predictions and truth of an image.

    Attributes:
        found: the predictions of the image.
        iou: (K, N) in [0, 1], IoU of each predicted mask with each true one.
        ignored: (K,) share of each prediction's area within ignored regions.
        true_classes: (N,) int64, the class of each true object from 0.
        true_areas: (N,) int64, area of each true mask in pixels.
    """

    found: PredictedObjects
    iou: np.ndarray
    ignored: np.ndarray
    true_classes: np.ndarray
    true_areas: np.ndarray


def predicted_objects(
    image: dict[str, Any], entries: list[Entry], class_of: Callable[[Entry], int]
) -> PredictedObjects:
    """The predictions of an image that have a pixel.

    Args:
        image: a dict of the results' list of images, with "height" and "width" in pixels.
        entries: the image's entries in COCO's list of results.
        class_of: function that gives the class of an entry, counted from 0.
    """
    kept = sorted(entries, key=lambda entry: entry.get("step", NO_STEP))
    areas = rle.areas([entry["segmentation"] for entry in kept])
    kept = [entry for entry, area in zip(kept, areas, strict=True) if area > 0]
    masks = [entry["segmentation"] for entry in kept]
    return PredictedObjects(
        size=(image["height"], image["width"]),
        masks=masks,
        classes=np.array([class_of(entry) for entry in kept], dtype=np.int64),
        scores=np.array([entry["score"] for entry in kept], dtype=float),
        steps=np.array([entry.get("step", NO_STEP) for entry in kept], dtype=np.int64),
        areas=areas[areas > 0],
        centers=np.array([_center(mask) for mask in masks], dtype=float).reshape(-1, 2),
    )


def image_evidence(
    found: PredictedObjects, record: dict[str, Any], class_agnostic: bool = False
) -> ImageEvidence:
    """Compare the predictions of an image with its ground truth.

    Crowd regions are no objects: predictions in them are told by ``ignored``.

    Args:
        found: the predictions of the image.
        record: Detectron2's standard dict of the image.
        class_agnostic: take all true objects to be of class 0.

    Raises:
        UserError: a predicted mask is not of the image's size, or an annotation has no mask.
    """
    check_size(found, (record["height"], record["width"]), record["file_name"])
    true = true_masks(record)
    objects = ~true.crowd
    classes = true.classes[objects]
    overlaps = rle.overlaps(found.masks, true.rles, true.crowd)
    return ImageEvidence(
        found=found,
        iou=overlaps[:, objects],
        ignored=overlaps[:, true.crowd].max(axis=1, initial=0.0),
        true_classes=np.zeros_like(classes) if class_agnostic else classes,
        true_areas=rle.areas(true.rles)[objects],
    )


def check_size(found: PredictedObjects, size: tuple[int, int], file_name: str) -> None:
    """Refuse predictions that are not of an image's height and width.

    Raises:
        UserError: they are of another size.
    """
    if found.size != size:
        raise UserError(
            f"{file_name}: found predictions of {found.size[1]}x{found.size[0]} pixels, "
            f"expected the image's {size[1]}x{size[0]}; predict again on the data as it is now."
        )


def _center(mask: rle.RLE) -> tuple[float, float]:
    rows, columns = np.nonzero(rle.decode(mask))
    return float(rows.mean()) + 0.5, float(columns.mean()) + 0.5
