"""Dice scores of the CVPPP leaf segmentation challenge.

All functions return shares in [0, 1]; the tools report them times 100. Each comes twice: on two
label maps, and ``*_from`` an ``Overlap`` that was counted already.

Source: Minervini, Fischbach, Scharr, Tsaftaris: Finely-grained annotated datasets for image-based
plant phenotyping (2016), and the challenge's evaluation rules:

- the mean runs over *every* object of a side, so predictions beyond the number of true objects
  lower the score (some published code averages over the first n predictions only);
- labels are made consecutive first (the challenge's own script counts a gap as an object scored 0);
- background is label 0. The challenge's script takes the smallest label that occurs instead, which
  differs only for an image without any background pixel: there it loses one object.
"""

from __future__ import annotations

import math

import numpy as np

from recseg_d2.metrics.overlap import Overlap, count_overlap


def dice_matrix_from(table: Overlap) -> np.ndarray:
    r"""Dice of every object of ``a`` with every object of ``b``.

    .. math:: D_{ij} = \frac{2 |A_i \cap B_j|}{|A_i| + |B_j|}

    Returns:
        (n_a, n_b) float64 in [0, 1].
    """
    return 2.0 * table.intersections / (table.areas_a[:, None] + table.areas_b[None, :])


def best_dice(a: np.ndarray, b: np.ndarray) -> float:
    r"""Mean over the objects of ``a`` of the best dice with any object of ``b``.

    .. math:: BD(a, b) = \frac{1}{n_a} \sum_i \max_j D_{ij}

    Args:
        a: (H, W) integer label map, 0 is background.
        b: label map of the same size.

    Returns:
        A share in [0, 1]; 0 if either side has no object.

    Raises:
        ValueError: the sizes differ, or one of the two is not a label map.
    """
    return best_dice_from(count_overlap(a, b))


def best_dice_from(table: Overlap) -> float:
    """``best_dice`` from a table of overlaps."""
    if table.num_a == 0 or table.num_b == 0:
        return 0.0
    return float(dice_matrix_from(table).max(axis=1).mean())


def symmetric_best_dice(
    prediction: np.ndarray, truth: np.ndarray, both_empty: float = 0.0
) -> float:
    r"""SBD, the smaller of the best dice in both directions.

    .. math:: SBD = \min(BD(prediction, truth), BD(truth, prediction))

    Args:
        prediction: (H, W) integer label map, 0 is background.
        truth: label map of the same size.
        both_empty: the value where neither side has an object; 0 is the challenge's rule.

    Returns:
        A share in [0, 1]; 0 if only one side has an object.

    Raises:
        ValueError: the sizes differ, or one of the two is not a label map.

    Example:
        >>> truth = np.array([[1, 1, 2, 2, 0, 0]])
        >>> symmetric_best_dice(np.array([[7, 7, 9, 9, 0, 0]]), truth)
        1.0
        >>> symmetric_best_dice(np.array([[7, 7, 9, 9, 3, 4]]), truth)
        0.5
    """
    return symmetric_best_dice_from(count_overlap(prediction, truth), both_empty)


def symmetric_best_dice_from(table: Overlap, both_empty: float = 0.0) -> float:
    """``symmetric_best_dice`` from a table of overlaps."""
    if table.num_a == 0 and table.num_b == 0:
        return both_empty
    return min(best_dice_from(table), best_dice_from(table.swapped()))


def legacy_symmetric_best_dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    r"""The lenient SBD of Ren & Zemel's public code, to compare with numbers made by it only.

    Both means run over the first n objects, n being the number of *true* objects, so predictions
    after the n-th (in the order of their labels, the order of discovery) cost nothing:

    .. math:: \min\Big(\frac{1}{n} \sum_{i \le n} \max_j D_{ij},
              \frac{1}{n} \sum_{j} \max_i D_{ij}\Big)

    Args:
        prediction: (H, W) integer label map, 0 is background.
        truth: label map of the same size.

    Returns:
        A share in [0, 1]; 0 if either side is empty, or both are.

    Raises:
        ValueError: the sizes differ, or one of the two is not a label map.
    """
    return legacy_symmetric_best_dice_from(count_overlap(prediction, truth))


def legacy_symmetric_best_dice_from(table: Overlap) -> float:
    """``legacy_symmetric_best_dice`` from a table of overlaps, the prediction being side ``a``."""
    if table.num_a == 0 or table.num_b == 0:
        return 0.0
    dice = dice_matrix_from(table)
    of_predictions = float(dice.max(axis=1)[: table.num_b].sum()) / table.num_b
    return min(of_predictions, float(dice.max(axis=0).mean()))


def foreground_dice(
    prediction: np.ndarray, truth: np.ndarray, both_empty: float = math.nan
) -> float:
    r"""FGBGDice, the dice of the unions of all objects.

    .. math:: FGBGDice = \frac{2 |P \cap G|}{|P| + |G|}

    Args:
        prediction: (H, W) integer label map; every label above 0 is foreground.
        truth: label map of the same size.
        both_empty: the value of 0/0, where neither side has an object; NaN is the challenge's rule,
            and such images are left out of means.

    Returns:
        A share in [0, 1], or ``both_empty``.

    Raises:
        ValueError: the sizes differ, or one of the two is not a label map.
    """
    return foreground_dice_from(count_overlap(prediction, truth), both_empty)


def foreground_dice_from(table: Overlap, both_empty: float = math.nan) -> float:
    """``foreground_dice`` from a table of overlaps."""
    total = int(table.areas_a.sum() + table.areas_b.sum())
    if total == 0:
        return both_empty
    return 2.0 * int(table.intersections.sum()) / total
