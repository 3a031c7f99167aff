"""Coverage of the true objects, and objects that touch nothing.

The measures of the KITTI car benchmark as Ren & Zemel 2017 use them (their section 4 and equations
31 to 33). Each comes twice: on two label maps, and ``*_from`` an ``Overlap`` that was counted
already, the prediction being side ``a``. Coverages are shares in [0, 1].

Equation 33 of the paper weighs by the areas of the *predictions*, which the sum over true objects
rules out; the weights here are the true objects' areas, as in the public code and in the papers
that introduced the measure (Hoiem et al. 2011, Silberman et al. 2014).
"""

from __future__ import annotations

import math

import numpy as np

from recseg_d2.metrics.overlap import Overlap, count_overlap


def iou_matrix_from(table: Overlap) -> np.ndarray:
    r"""IoU of every object of ``a`` with every object of ``b``.

    .. math:: J_{ij} = \frac{|A_i \cap B_j|}{|A_i| + |B_j| - |A_i \cap B_j|}

    Returns:
        (n_a, n_b) float64 in [0, 1].
    """
    unions = table.areas_a[:, None] + table.areas_b[None, :] - table.intersections
    return table.intersections / unions


def mean_weighted_coverage(
    prediction: np.ndarray, truth: np.ndarray, no_truth: float = math.nan
) -> float:
    r"""MWCov, the best IoU of each true object, weighted by the object's area.

    .. math:: MWCov = \sum_j \frac{|G_j|}{\sum_k |G_k|} \max_i J_{ij}

    Args:
        prediction: (H, W) integer label map, 0 is background.
        truth: label map of the same size.
        no_truth: the value of 0/0, an image without any true object; NaN leaves it out of means.
            The authors' public code averages a 0 in for it.

    Returns:
        A share in [0, 1]; 0 if there are true objects and no prediction.

    Raises:
        ValueError: the sizes differ, or one of the two is not a label map.

    Example:
        >>> truth = np.array([[1, 1, 1, 2, 0, 0]])
        >>> mean_weighted_coverage(np.array([[5, 5, 5, 0, 0, 0]]), truth)
        0.75
        >>> mean_unweighted_coverage(np.array([[5, 5, 5, 0, 0, 0]]), truth)
        0.5
    """
    return mean_weighted_coverage_from(count_overlap(prediction, truth), no_truth)


def mean_weighted_coverage_from(table: Overlap, no_truth: float = math.nan) -> float:
    """``mean_weighted_coverage`` from a table of overlaps."""
    if table.num_b == 0:
        return no_truth
    return float(table.areas_b @ _best_iou_of_b(table) / table.areas_b.sum())


def mean_unweighted_coverage(
    prediction: np.ndarray, truth: np.ndarray, no_truth: float = math.nan
) -> float:
    r"""MUCov, the best IoU of each true object, all objects weighing the same.

    .. math:: MUCov = \frac{1}{n} \sum_j \max_i J_{ij}

    The arguments, the range and the empty cases are those of ``mean_weighted_coverage``.
    """
    return mean_unweighted_coverage_from(count_overlap(prediction, truth), no_truth)


def mean_unweighted_coverage_from(table: Overlap, no_truth: float = math.nan) -> float:
    """``mean_unweighted_coverage`` from a table of overlaps."""
    return float(_best_iou_of_b(table).mean()) if table.num_b else no_truth


def count_false_positives(prediction: np.ndarray, truth: np.ndarray) -> int:
    """Predicted objects that share no pixel with any true object; their mean is AvgFP.

    A single shared pixel makes a hit: the measure has no IoU threshold.

    Args:
        prediction: (H, W) integer label map, 0 is background.
        truth: label map of the same size.

    Returns:
        A number of objects: 0 if nothing is predicted, all predictions if nothing is there.

    Raises:
        ValueError: the sizes differ, or one of the two is not a label map.
    """
    return count_false_positives_from(count_overlap(prediction, truth))


def count_false_positives_from(table: Overlap) -> int:
    """``count_false_positives`` from a table of overlaps."""
    return int(np.count_nonzero(~table.intersections.any(axis=1)))


def count_false_negatives(prediction: np.ndarray, truth: np.ndarray) -> int:
    """True objects that share no pixel with any prediction; their mean is AvgFN.

    The arguments and errors are those of ``count_false_positives``.

    Returns:
        A number of objects: 0 if nothing is there, all true objects if nothing is predicted.
    """
    return count_false_negatives_from(count_overlap(prediction, truth))


def count_false_negatives_from(table: Overlap) -> int:
    """``count_false_negatives`` from a table of overlaps."""
    return count_false_positives_from(table.swapped())


def _best_iou_of_b(table: Overlap) -> np.ndarray:
    """(n_b,) the best IoU of each object of ``b``; 0 where ``a`` has no object."""
    return iou_matrix_from(table).max(axis=0, initial=0.0)
