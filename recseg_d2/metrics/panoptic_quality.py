"""Panoptic quality of the objects of a data set, classes aside.

Source: Kirillov et al. 2019, "Panoptic Segmentation", section 4.1. A predicted and a true object
match where their IoU is above 0.5, which at most one prediction can reach. What is counted in an
image adds up: (4,) floats, the IoU of all matches, the matches (TP), predictions without a match
(FP), true objects without one (FN).
"""

from __future__ import annotations

import math

import numpy as np

from recseg_d2.metrics.overlap import Overlap
from recseg_d2.metrics.registry import metric

MATCH_IOU = 0.5  # a match is above it


def panoptic_sums(table: Overlap) -> np.ndarray:
    """(4,) float of an image, see the module."""
    matched = table.iou[table.iou > MATCH_IOU]
    count = len(matched)
    return np.array([matched.sum(), count, table.num_a - count, table.num_b - count], dtype=float)


@metric("pq", "PQ", sums=panoptic_sums, higher_is_better=True)
def panoptic_quality(sums: np.ndarray) -> float:
    r"""Panoptic quality, the matches' IoU over all objects; NaN if nothing is on either side.

    .. math:: PQ = \frac{\sum_{TP} IoU}{|TP| + |FP| / 2 + |FN| / 2} = SQ \cdot RQ
    """
    return float(sums[0] / _objects(sums)) if _objects(sums) else math.nan


@metric("pq", "SQ", sums=panoptic_sums, higher_is_better=True)
def segmentation_quality(sums: np.ndarray) -> float:
    r"""Segmentation quality, the matches' mean IoU; NaN if nothing matches.

    .. math:: SQ = \frac{1}{|TP|} \sum_{TP} IoU
    """
    return float(sums[0] / sums[1]) if sums[1] else math.nan


@metric("pq", "RQ", sums=panoptic_sums, higher_is_better=True)
def recognition_quality(sums: np.ndarray) -> float:
    r"""Recognition quality, the F1 score of the matches; NaN if nothing is on either side.

    .. math:: RQ = \frac{|TP|}{|TP| + |FP| / 2 + |FN| / 2}
    """
    return float(sums[1] / _objects(sums)) if _objects(sums) else math.nan


def _objects(sums: np.ndarray) -> float:
    """The mean number of predicted and of true objects."""
    return sums[1] + (sums[2] + sums[3]) / 2
