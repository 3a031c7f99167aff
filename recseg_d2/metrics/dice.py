"""Dice scores of the CVPPP leaf segmentation challenge, as shares in [0, 1].

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

from recseg_d2.metrics.overlap import Overlap
from recseg_d2.metrics.registry import metric


def best_dice(table: Overlap) -> float:
    r"""Mean over the objects of ``a`` of the best dice with any object of ``b``.

    .. math:: BD(a, b) = \frac{1}{n_a} \sum_i \max_j D_{ij}

    Returns:
        A share in [0, 1]; 0 if either side has no object.
    """
    if table.num_a == 0 or table.num_b == 0:
        return 0.0
    return float(table.dice.max(axis=1).mean())


@metric("sbd", "SBD", higher_is_better=True)
def symmetric_best_dice(table: Overlap, both_empty: float = 0.0) -> float:
    r"""Symmetric best dice, the smaller of the mean best dice in both directions.

    .. math:: SBD = \min(BD(prediction, truth), BD(truth, prediction)), \quad
              BD(a, b) = \frac{1}{n_a} \sum_i \max_j D_{ij}

    Args:
        table: the overlaps of a predicted label map with the true one.
        both_empty: the value where neither side has an object; 0 is the challenge's rule.

    Returns:
        A share in [0, 1]; 0 if only one side has an object.

    Example:
        >>> import numpy as np
        >>> from recseg_d2.metrics import count_overlap
        >>> truth = np.array([[1, 1, 2, 2, 0, 0]])
        >>> symmetric_best_dice(count_overlap(np.array([[7, 7, 9, 9, 0, 0]]), truth))
        1.0
        >>> symmetric_best_dice(count_overlap(np.array([[7, 7, 9, 9, 3, 4]]), truth))
        0.5
    """
    if table.num_a == 0 and table.num_b == 0:
        return both_empty
    return min(best_dice(table), best_dice(table.swapped()))


@metric("fgbg", "FGBGDice", higher_is_better=True)
def foreground_dice(table: Overlap, both_empty: float = math.nan) -> float:
    r"""Foreground dice, the dice of the unions of all objects.

    .. math:: FGBGDice = \frac{2 |P \cap G|}{|P| + |G|}

    Args:
        table: the overlaps of a predicted label map with the true one.
        both_empty: the value of 0/0, where neither side has an object; NaN is the challenge's rule,
            and such images are left out of means.

    Returns:
        A share in [0, 1], or ``both_empty``.
    """
    total = int(table.areas_a.sum() + table.areas_b.sum())
    if total == 0:
        return both_empty
    return 2.0 * int(table.intersections.sum()) / total


@metric("legacy_sbd", "LegacySBD", higher_is_better=True)
def legacy_symmetric_best_dice(table: Overlap) -> float:
    r"""The lenient SBD of Ren & Zemel's public code, to compare with numbers made by it only.

    Both means run over the first n objects, n being the number of *true* objects, so predictions
    after the n-th (in the order of their labels, the order of discovery) cost nothing:

    .. math:: \min\Big(\frac{1}{n} \sum_{i \le n} \max_j D_{ij},
              \frac{1}{n} \sum_{j} \max_i D_{ij}\Big)

    Returns:
        A share in [0, 1]; 0 if either side is empty, or both are.
    """
    if table.num_a == 0 or table.num_b == 0:
        return 0.0
    of_predictions = float(table.dice.max(axis=1)[: table.num_b].sum()) / table.num_b
    return min(of_predictions, float(table.dice.max(axis=0).mean()))
