"""Precision and recall of objects and of pixels, of an image or pooled over a data set.

Source: the supplementary measures of Ren & Zemel's public code. What is counted in an image adds
up: (4,) floats, the predicted objects or pixels, those of them that are right, the true objects or
pixels, those of them that were found.
"""

from __future__ import annotations

import math

import numpy as np

from recseg_d2.metrics.overlap import Overlap
from recseg_d2.metrics.registry import metric

IOU_THRESHOLD = 0.5


def object_hits(table: Overlap, iou_threshold: float = IOU_THRESHOLD) -> np.ndarray:
    """Objects whose best IoU with an object of the other side reaches the threshold.

    Not one-to-one: below a threshold of 0.5 two predictions can both hit one object; from 0.5 on
    the objects of a label map, which never overlap, allow that at exactly 0.5 only.

    Args:
        table: the overlaps of a predicted label map with the true one.
        iou_threshold: IoU from which a prediction is a hit, in (0, 1]; an equal one is.

    Returns:
        (4,), see the module.
    """
    hits = table.iou >= iou_threshold
    right, found = (np.count_nonzero(hits.any(axis=axis)) for axis in (1, 0))
    return np.array([table.num_a, right, table.num_b, found], dtype=float)


def pixel_hits(table: Overlap) -> np.ndarray:
    """Pixels of the union of all predictions and of the union of all true objects.

    A hit is a pixel of both unions.

    Returns:
        (4,), see the module.
    """
    both = table.intersections.sum()
    return np.array([table.areas_a.sum(), both, table.areas_b.sum(), both], dtype=float)


@metric("pixpr_pooled", "PixPrecisionPooled", sums=pixel_hits, higher_is_better=True)
@metric("objpr_pooled", "ObjPrecisionPooled", sums=object_hits, higher_is_better=True)
def precision(hits: np.ndarray) -> float:
    """Share of everything predicted that is right; NaN if nothing is predicted."""
    return float(hits[1] / hits[0]) if hits[0] else math.nan


@metric("pixpr_pooled", "PixRecallPooled", sums=pixel_hits, higher_is_better=True)
@metric("objpr_pooled", "ObjRecallPooled", sums=object_hits, higher_is_better=True)
def recall(hits: np.ndarray) -> float:
    """Share of everything true that was found; NaN if nothing is there."""
    return float(hits[3] / hits[2]) if hits[2] else math.nan


@metric("objpr", "ObjPrecision", higher_is_better=True)
def object_precision(table: Overlap) -> float:
    """Share of the predicted objects with an IoU of 0.5 or more; NaN if nothing is predicted."""
    return precision(object_hits(table))


@metric("objpr", "ObjRecall", higher_is_better=True)
def object_recall(table: Overlap) -> float:
    """Share of the true objects with an IoU of 0.5 or more; NaN if nothing is there."""
    return recall(object_hits(table))


@metric("pixpr", "PixPrecision", higher_is_better=True)
def pixel_precision(table: Overlap) -> float:
    """Share of the predicted pixels that are of true objects; NaN if nothing is predicted."""
    return precision(pixel_hits(table))


@metric("pixpr", "PixRecall", higher_is_better=True)
def pixel_recall(table: Overlap) -> float:
    """Share of the true objects' pixels that are predicted; NaN if nothing is there."""
    return recall(pixel_hits(table))
