"""How far the number of objects is off.

Source: the CVPPP leaf segmentation challenge (DiC), and Ren & Zemel 2017 for the accuracy and the
squared error on top of it. Objects are counted after consecutive relabelling, so gaps between
labels do not count. An image with nothing on either side is counted right by all of them.
"""

from __future__ import annotations

import numpy as np

from recseg_d2.metrics.overlap import Overlap, count_overlap


def difference_in_count(prediction: np.ndarray, truth: np.ndarray) -> int:
    """DiC, predicted objects minus true objects; negative where objects were missed.

    Args:
        prediction: (H, W) integer label map, 0 is background.
        truth: label map of the same size.

    Raises:
        ValueError: the sizes differ (the challenge's script returns -1, which cannot be told from
            one missed object), or one of the two is not a label map.
    """
    return difference_in_count_from(count_overlap(prediction, truth))


def absolute_difference_in_count(prediction: np.ndarray, truth: np.ndarray) -> int:
    """Absolute DiC, by how many objects the count is off; see ``difference_in_count``."""
    return abs(difference_in_count(prediction, truth))


def count_is_right(prediction: np.ndarray, truth: np.ndarray) -> bool:
    """Whether the number of objects is exact; the share of such images is the count accuracy.

    The arguments and errors are those of ``difference_in_count``.
    """
    return difference_in_count(prediction, truth) == 0


def squared_count_error(prediction: np.ndarray, truth: np.ndarray) -> int:
    """DiC squared, in objects squared; its mean over images is the mean squared error (MSE).

    The arguments and errors are those of ``difference_in_count``.
    """
    return difference_in_count(prediction, truth) ** 2


def difference_in_count_from(table: Overlap) -> int:
    """``difference_in_count`` from a table of overlaps, the prediction being side ``a``."""
    return table.num_a - table.num_b
