"""How far the number of objects is off.

Source: the CVPPP leaf segmentation challenge (DiC), and Ren & Zemel 2017 for the accuracy and the
squared error on top of it. Objects are counted after consecutive relabelling, so gaps between
labels do not count. An image with nothing on either side is counted right by all of them.
"""

from __future__ import annotations

import math

from recseg_d2.metrics.overlap import Overlap
from recseg_d2.metrics.registry import COUNT, metric


@metric("dic", "DiC", higher_is_better=None, limits=(-math.inf, math.inf))
def difference_in_count(table: Overlap) -> int:
    """Difference in count, predicted minus true objects; negative where objects were missed."""
    return table.num_a - table.num_b


@metric("dic", "absDiC", higher_is_better=False, limits=COUNT)
def absolute_difference_in_count(table: Overlap) -> int:
    """Absolute difference in count, by how many objects the count is off; 0 if both are empty."""
    return abs(difference_in_count(table))


@metric("countacc", "CountAcc", higher_is_better=True)
def count_accuracy(table: Overlap) -> float:
    """1 where the number of objects is exact, else 0; the mean is the share of exact images."""
    return float(difference_in_count(table) == 0)


@metric("countmse", "CountMSE", higher_is_better=False, limits=COUNT)
def squared_count_error(table: Overlap) -> int:
    """Squared difference in count, in objects squared; the mean is the mean squared error."""
    return difference_in_count(table) ** 2
