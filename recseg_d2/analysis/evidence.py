"""Saved predictions beside the ground truth, as the few numbers that analyses need.

Masks are decoded one at a time; what stays of an image is a table of IoU and a row an object.
Shape letters: K predicted objects in the order of discovery, N true objects of an image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog
from pycocotools import mask as mask_util

from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.evaluation.predictions import SavedPredictions

NO_STEP = -1


@dataclass(frozen=True)
class FoundObjects:
    """The predictions of an image, in the order of discovery.

    Attributes:
        size: height and width of the image, pixels.
        masks: K compressed RLEs, as in the file.
        classes: (K,) int64.
        scores: (K,) float.
        steps: (K,) int64 from 0; ``NO_STEP`` of models without an order, which then is the file's.
        areas: (K,) int64, pixels, above 0.
        centers: (K, 2) float, y and x of the centres of mass; a pixel's centre is at +0.5.
    """

    size: tuple[int, int]
    masks: list[dict[str, Any]]
    classes: np.ndarray
    scores: np.ndarray
    steps: np.ndarray
    areas: np.ndarray
    centers: np.ndarray

    @property
    def ordered(self) -> bool:
        """Whether the model found one object after another."""
        return bool((self.steps != NO_STEP).all())

    def without_classes(self) -> FoundObjects:
        """The same, all of class 0."""
        return replace(self, classes=np.zeros_like(self.classes))


@dataclass(frozen=True)
class ImageEvidence:
    """Predictions and truth of an image.

    Attributes:
        found: the predictions.
        iou: (K, N) in [0, 1].
        ignored: (K,) share of each prediction's area within ignored regions.
        true_classes: (N,) int64.
        true_areas: (N,) int64, pixels.
    """

    found: FoundObjects
    iou: np.ndarray
    ignored: np.ndarray
    true_classes: np.ndarray
    true_areas: np.ndarray


def found_objects(image: dict[str, Any], min_score: float = 0.0) -> FoundObjects:
    """The predictions of an image of a predictions file.

    Args:
        image: see ``evaluation.predictions``.
        min_score: leave out what scores below.
    """
    kept = [i for i in image["instances"] if i["score"] >= min_score]
    kept = [i for i in kept if mask_util.area(i["segmentation"]) > 0]
    kept.sort(key=lambda i: NO_STEP if i["step"] is None else i["step"])
    masks = [i["segmentation"] for i in kept]
    steps = [NO_STEP if i["step"] is None else i["step"] for i in kept]
    return FoundObjects(
        size=(image["height"], image["width"]),
        masks=masks,
        classes=np.array([i["category_id"] for i in kept], dtype=np.int64),
        scores=np.array([i["score"] for i in kept], dtype=float),
        steps=np.array(steps, dtype=np.int64),
        areas=np.array([int(mask_util.area(mask)) for mask in masks], dtype=np.int64),
        centers=np.array([_center(mask) for mask in masks], dtype=float).reshape(-1, 2),
    )


def image_evidence(
    found: FoundObjects, record: dict[str, Any], class_agnostic: bool = False
) -> ImageEvidence:
    """Compare the predictions of an image with its ground truth.

    Crowd regions are no objects: predictions in them are told by ``ignored``.

    Args:
        found: the predictions.
        record: the image's standard dict.
        class_agnostic: take all true objects to be of class 0.

    Raises:
        UserError: a predicted mask is not of the image's size, or an annotation has no mask.
    """
    shape, name = (record["height"], record["width"]), record["file_name"]
    if found.size != shape:
        raise UserError(
            f"{name}: found predictions of {found.size[1]}x{found.size[0]} pixels, expected the "
            f"image's {shape[1]}x{shape[0]}; evaluate again on the data set as it is now."
        )
    annotations = record.get("annotations", [])
    objects = [a for a in annotations if not a.get("iscrowd", 0)]
    crowds = [a for a in annotations if a.get("iscrowd", 0)]
    true_masks = [_run_lengths(a, shape, name) for a in objects]
    inside = _overlaps(found.masks, [_run_lengths(a, shape, name) for a in crowds], crowd=True)
    classes = [0 if class_agnostic else a["category_id"] for a in objects]
    return ImageEvidence(
        found=found,
        iou=_overlaps(found.masks, true_masks, crowd=False),
        ignored=inside.max(axis=1, initial=0.0),
        true_classes=np.array(classes, dtype=np.int64),
        true_areas=np.array([int(mask_util.area(mask)) for mask in true_masks], dtype=np.int64),
    )


def records_of(predictions: SavedPredictions) -> list[dict[str, Any]]:
    """The standard dict of each image of a predictions file, in the file's order.

    Raises:
        MissingResultsError: the data set is not registered here.
        UserError: the data set lacks one of the images.
    """
    name = predictions.dataset
    if name not in DatasetCatalog.list():
        raise MissingResultsError(
            f"{predictions.path}: is of the data set {name!r}, which is not registered; give the "
            "folder again by --val-data PATH if it was one of the command line."
        )
    truth = GroundTruth(name)
    try:
        return [truth.record(image["image_id"]) for image in predictions.images]
    except UserError as error:
        raise UserError(f"{predictions.path}: {error}") from error


def class_names(predictions: SavedPredictions) -> list[str]:
    """Names of all classes that may occur; one that the data set does not name gets its number."""
    ids = [i["category_id"] for image in predictions.images for i in image["instances"]]
    if predictions.dataset in DatasetCatalog.list():
        for record in DatasetCatalog.get(predictions.dataset):
            ids += [a["category_id"] for a in record.get("annotations", [])]
    names = list(predictions.classes)
    return names + [f"class {i}" for i in range(len(names), max(ids, default=-1) + 1)]


def _center(mask: dict[str, Any]) -> tuple[float, float]:
    rows, columns = np.nonzero(mask_util.decode(mask))
    return float(rows.mean()) + 0.5, float(columns.mean()) + 0.5


def _overlaps(masks: list[dict[str, Any]], others: list[dict[str, Any]], crowd: bool) -> np.ndarray:
    """(len(masks), len(others)) IoU; with ``crowd`` the intersection as a share of the mask."""
    if not masks or not others:
        return np.zeros((len(masks), len(others)))
    return np.asarray(mask_util.iou(masks, others, [int(crowd)] * len(others)))


def _run_lengths(annotation: dict[str, Any], shape: tuple[int, int], name: str) -> dict[str, Any]:
    mask = decode_segmentation(annotation.get("segmentation"), shape, name)
    return mask_util.encode(np.asfortranarray(mask))
