"""Coverage of the true objects, and objects that touch nothing.

The measures of the KITTI car benchmark as Ren & Zemel 2017 use them (their section 4 and equations
31 to 33). Coverages are shares in [0, 1].

Equation 33 of the paper weighs by the areas of the *predictions*, which the sum over true objects
rules out; the weights here are the true objects' areas, as in the public code and in the papers
that introduced the measure (Hoiem et al. 2011, Silberman et al. 2014).
"""

from __future__ import annotations

import math

import numpy as np

from recseg_d2.metrics.overlap import Overlap
from recseg_d2.metrics.registry import COUNT, metric


@metric("mwcov", "MWCov", higher_is_better=True)
def mean_weighted_coverage(table: Overlap, no_truth: float = math.nan) -> float:
    r"""Mean weighted coverage, the best IoU of each true object, weighted by the object's area.

    .. math:: MWCov = \sum_j \frac{|G_j|}{\sum_k |G_k|} \max_i J_{ij}

    Args:
        table: the overlaps of a predicted label map with the true one.
        no_truth: the value of 0/0, an image without any true object; NaN leaves it out of means.
            The authors' public code averages a 0 in for it.

    Returns:
        A share in [0, 1]; 0 if there are true objects and no prediction.

    Example:
        >>> from recseg_d2.metrics import count_overlap
        >>> table = count_overlap(np.array([[5, 5, 5, 0, 0, 0]]), np.array([[1, 1, 1, 2, 0, 0]]))
        >>> mean_weighted_coverage(table), mean_unweighted_coverage(table)
        (0.75, 0.5)
    """
    if table.num_b == 0:
        return no_truth
    return float(table.areas_b @ _best_iou_of_truth(table) / table.areas_b.sum())


@metric("mucov", "MUCov", higher_is_better=True)
def mean_unweighted_coverage(table: Overlap, no_truth: float = math.nan) -> float:
    r"""Mean unweighted coverage, the best IoU of each true object, all weighing the same.

    .. math:: MUCov = \frac{1}{n} \sum_j \max_i J_{ij}

    The arguments, the range and the empty cases are those of ``mean_weighted_coverage``.
    """
    return float(_best_iou_of_truth(table).mean()) if table.num_b else no_truth


@metric("avgfp", "AvgFP", higher_is_better=False, limits=COUNT)
def count_false_positives(table: Overlap) -> int:
    """Predicted objects that share no pixel with any true object; their mean is AvgFP.

    A single shared pixel makes a hit: the measure has no IoU threshold.

    Returns:
        A number of objects: 0 if nothing is predicted, all predictions if nothing is there.
    """
    return int(np.count_nonzero(~table.intersections.any(axis=1)))


@metric("avgfn", "AvgFN", higher_is_better=False, limits=COUNT)
def count_false_negatives(table: Overlap) -> int:
    """True objects that share no pixel with any prediction; their mean is AvgFN.

    Returns:
        A number of objects: 0 if nothing is there, all true objects if nothing is predicted.
    """
    return count_false_positives(table.swapped())


def _best_iou_of_truth(table: Overlap) -> np.ndarray:
    """(n_b,) the best IoU of each true object; 0 where nothing is predicted."""
    return table.iou.max(axis=0, initial=0.0)
