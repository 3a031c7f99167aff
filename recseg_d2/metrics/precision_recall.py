"""Precision and recall of objects and of pixels, on label maps.

Source: the supplementary measures of Ren & Zemel's public code. What is counted in an image is a
``HitCounts``; these add up, so that ratios can be taken of an image or pooled over a data set::

    sum((object_hits(p, t) for p, t in pairs), HitCounts()).precision
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recseg_d2.metrics.coverage import iou_matrix_from
from recseg_d2.metrics.overlap import Overlap, count_overlap

IOU_THRESHOLD = 0.5


@dataclass(frozen=True)
class HitCounts:
    """How many predicted and true things there are, and how many of each are hits.

    Attributes:
        predicted: predicted objects or pixels.
        predicted_hits: those of them that are right.
        true: true objects or pixels.
        true_hits: those of them that were found.
    """

    predicted: int = 0
    predicted_hits: int = 0
    true: int = 0
    true_hits: int = 0

    def __add__(self, other: HitCounts) -> HitCounts:
        return HitCounts(
            self.predicted + other.predicted,
            self.predicted_hits + other.predicted_hits,
            self.true + other.true,
            self.true_hits + other.true_hits,
        )

    @property
    def precision(self) -> float:
        """Share of the predicted that is right, in [0, 1]; NaN if nothing is predicted."""
        return self.predicted_hits / self.predicted if self.predicted else math.nan

    @property
    def recall(self) -> float:
        """Share of the true that was found, in [0, 1]; NaN if nothing is there."""
        return self.true_hits / self.true if self.true else math.nan


def object_hits(
    prediction: np.ndarray, truth: np.ndarray, iou_threshold: float = IOU_THRESHOLD
) -> HitCounts:
    """Objects whose best IoU with an object of the other side reaches the threshold.

    Not one-to-one: below a threshold of 0.5 two predictions can both hit one object; from 0.5 on
    the objects of a label map, which never overlap, allow that at exactly 0.5 only.

    Args:
        prediction: (H, W) integer label map, 0 is background.
        truth: label map of the same size.
        iou_threshold: in (0, 1]; an IoU equal to it is a hit.

    Raises:
        ValueError: the sizes differ, or one of the two is not a label map.
    """
    return object_hits_from(count_overlap(prediction, truth), iou_threshold)


def object_hits_from(table: Overlap, iou_threshold: float = IOU_THRESHOLD) -> HitCounts:
    """``object_hits`` from a table of overlaps, the prediction being side ``a``."""
    hits = iou_matrix_from(table) >= iou_threshold
    found_a, found_b = (int(np.count_nonzero(hits.any(axis=axis))) for axis in (1, 0))
    return HitCounts(table.num_a, found_a, table.num_b, found_b)


def pixel_hits(prediction: np.ndarray, truth: np.ndarray) -> HitCounts:
    """Pixels of the union of all predictions and of the union of all true objects.

    A hit is a pixel of both unions. The arguments and errors are those of ``object_hits``.
    """
    return pixel_hits_from(count_overlap(prediction, truth))


def pixel_hits_from(table: Overlap) -> HitCounts:
    """``pixel_hits`` from a table of overlaps, the prediction being side ``a``."""
    both = int(table.intersections.sum())
    return HitCounts(int(table.areas_a.sum()), both, int(table.areas_b.sum()), both)
