"""Ground truth of a registered data set, as label maps or as run-length encoded masks.

This is the way back from Detectron2's standard dicts to what the metrics compare with, at the
native size of each image.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog

from recseg_d2 import rle
from recseg_d2.data.annotations import (
    IGNORED,
    annotation_of,
    decode_segmentation,
    ignored_from_dict,
    label_map_from_dict,
)
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrueMasks:
    """The annotations of an image, in the order of its standard dict; N of them.

    Attributes:
        annotations: the image's annotations, as the standard dict has them.
        rles: compressed RLE of each of the N masks.
        classes: (N,) int64, the class of each from 0.
        crowd: (N,) bool, regions of several objects, or void.
    """

    annotations: list[dict[str, Any]]
    rles: list[rle.RLE]
    classes: np.ndarray
    crowd: np.ndarray


def true_masks(record: dict[str, Any]) -> TrueMasks:
    """The annotations of a standard dict.

    Raises:
        UserError: an annotation has no mask, or one of another size than the image.
    """
    shape, name = (record["height"], record["width"]), record["file_name"]
    annotations = scored_annotations(record)
    masks = (decode_segmentation(a.get("segmentation"), shape, name) for a in annotations)
    return TrueMasks(
        annotations,
        [rle.encode(mask) for mask in masks],
        np.array([a["category_id"] for a in annotations], dtype=np.int64),
        np.array([bool(a.get("iscrowd", 0)) for a in annotations], dtype=bool),
    )


def compared_labels(record: dict[str, Any], predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A predicted label map, (height, width) integers, and the true one, to be scored.

    Where it is not known what the image shows, both are background.

    Args:
        record: the standard dict of the image.
        predicted: what was found.

    Raises:
        UserError: an annotation cannot be decoded.
    """
    truth, ignored = label_map_from_dict(record), ignored_from_dict(record)
    if ignored is None:
        return predicted, truth
    return np.where(ignored, 0, predicted), np.where(ignored, 0, truth)


def scored_annotations(record: dict[str, Any], classes: Iterable[int] = (0,)) -> list[Any]:
    """The annotations of a standard dict as metrics with crowd regions take them.

    Where it is not known what the image shows is a crowd region: what is predicted there is neither
    right nor wrong.

    Args:
        record: the standard dict.
        classes: that there is such a region of; metrics that compare within a class need all.
    """
    annotations = list(record.get("annotations", []))
    if IGNORED in record:
        shape = (record["height"], record["width"])
        annotations += [annotation_of(record[IGNORED], shape, k, is_crowd=True) for k in classes]
    return annotations


class GroundTruth:
    """Label maps of a registered data set by ``image_id``; one is decoded when it is asked for.

    Args:
        dataset_name: a name in ``DatasetCatalog``.

    Raises:
        UserError: the data set has no image, or two with the same ``image_id``.
    """

    def __init__(self, dataset_name: str) -> None:
        self._name = dataset_name
        self._dicts: dict[Any, dict[str, Any]] = {}
        for record in DatasetCatalog.get(dataset_name):
            # predictions name their image by this id alone: of two, one would be scored against the
            # other's objects
            if record["image_id"] in self._dicts:
                raise UserError(
                    f"{dataset_name}: image_id {record['image_id']!r} occurs twice "
                    f"({self._dicts[record['image_id']]['file_name']} and {record['file_name']}); "
                    "give every image its own."
                )
            self._dicts[record["image_id"]] = record
        if not self._dicts:
            raise UserError(f"{dataset_name}: found no image to evaluate on.")
        if not any("annotations" in record for record in self._dicts.values()):
            logger.warning(
                "%s: no image is annotated, as in test sets whose labels are withheld; its scores "
                "are those of empty images. Write predictions instead (recseg predict).",
                dataset_name,
            )
        # predictions of single files know their image by its stem, which may occur in several
        # folders
        self._stem_counts = Counter(map(_stem, self._dicts.values()))

    def __len__(self) -> int:
        return len(self._dicts)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The data set's standard dicts, in its order."""
        return list(self._dicts.values())

    def label_map(self, image_id: str | int) -> np.ndarray:
        """(height, width) int32 label map of an image; label k + 1 is the k-th drawn object.

        Raises:
            UserError: the data set has no such image, or an annotation cannot be decoded.
        """
        return label_map_from_dict(self.record(image_id))

    def compared(self, image_id: str | int, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``compared_labels`` of an image.

        Raises:
            UserError: as ``label_map``.
        """
        return compared_labels(self.record(image_id), predicted)

    def key(self, image_id: str | int) -> str:
        """Name of an image in results: its file's stem, or ``image_id`` where stems repeat."""
        stem = _stem(self.record(image_id))
        return stem if self._stem_counts[stem] == 1 else str(image_id)

    def record(self, image_id: str | int) -> dict[str, Any]:
        """The standard dict of an image.

        Raises:
            UserError: the data set has no such image.
        """
        if image_id not in self._dicts:
            raise UserError(
                f"{self._name}: found a prediction for image_id {image_id!r}, which the data set "
                "does not have; evaluate on the data set that the images were loaded from."
            )
        return self._dicts[image_id]

    def find(self, image_id: str | int, file_name: str | None = None) -> dict[str, Any]:
        """The standard dict of an image by its id, or else by its file's name without the ending.

        Args:
            image_id: which predictions of single files have their names for.
            file_name: the image's file name, where it is known; it is looked for if the id is
                unknown.

        Raises:
            UserError: the data set has no such image, or several of that name.
        """
        stem = str(image_id) if file_name is None else Path(file_name).stem
        if image_id in self._dicts or self._stem_counts[stem] != 1:
            return self.record(image_id)
        return next(record for record in self._dicts.values() if _stem(record) == stem)


def _stem(record: dict[str, Any]) -> str:
    return Path(record["file_name"]).stem
