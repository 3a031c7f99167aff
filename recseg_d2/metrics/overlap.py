"""Which pixels two label maps share: the one table that the metrics need.

A label map is an integer array (H, W) in which 0 is background and every other value is one object.
Labels need not be consecutive; absent labels do not count as objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Overlap:
    """Joint histogram of two label maps, usually of a prediction ``a`` and the ground truth ``b``.

    Attributes:
        counts: (1 + n_a, 1 + n_b) int64, pixels with the i-th label in ``a`` and the j-th in ``b``;
            row 0 and column 0 are background, the others the objects in the order of their labels.
    """

    counts: np.ndarray

    @property
    def num_a(self) -> int:
        """Number of objects in ``a``."""
        return self.counts.shape[0] - 1

    @property
    def num_b(self) -> int:
        """Number of objects in ``b``."""
        return self.counts.shape[1] - 1

    @cached_property
    def areas_a(self) -> np.ndarray:
        """(n_a,) int64, pixels of each object in ``a``, all greater than 0."""
        return self.counts[1:].sum(axis=1)

    @cached_property
    def areas_b(self) -> np.ndarray:
        """(n_b,) int64, pixels of each object in ``b``, all greater than 0."""
        return self.counts[:, 1:].sum(axis=0)

    @property
    def intersections(self) -> np.ndarray:
        """(n_a, n_b) int64, pixels that an object of ``a`` shares with one of ``b``."""
        return self.counts[1:, 1:]

    @cached_property
    def iou(self) -> np.ndarray:
        r"""(n_a, n_b) float64 in [0, 1], intersection over union of every two objects.

        .. math:: J_{ij} = \frac{|A_i \cap B_j|}{|A_i| + |B_j| - |A_i \cap B_j|}
        """
        return pairwise_iou(self.intersections, self.areas_a, self.areas_b)

    @cached_property
    def dice(self) -> np.ndarray:
        r"""(n_a, n_b) float64 in [0, 1], dice of every two objects.

        .. math:: D_{ij} = \frac{2 |A_i \cap B_j|}{|A_i| + |B_j|}
        """
        return 2.0 * self.intersections / (self.areas_a[:, None] + self.areas_b[None, :])

    def swapped(self) -> Overlap:
        """The same table with the two label maps exchanged."""
        return Overlap(self.counts.T)


def pairwise_iou(intersections: np.ndarray, areas_a: np.ndarray, areas_b: np.ndarray) -> np.ndarray:
    """(n_a, n_b) IoU of shared pixels (n_a, n_b) and the areas (n_a,), (n_b,), all above 0."""
    return intersections / (areas_a[:, None] + areas_b[None, :] - intersections)


def relabel_consecutively(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the objects of a label map 1, 2, ... in the order of their labels.

    Args:
        labels: (H, W) integers or bool, at least 0; 0 is background.

    Returns:
        The (H, W) int64 label map with labels 0..n, and n.

    Raises:
        ValueError: not two-dimensional, not integer, or a label is negative.
    """
    labels = _checked(labels)
    values = np.unique(labels)
    has_background = values.size > 0 and values[0] == 0
    codes = np.searchsorted(values, labels) + (0 if has_background else 1)
    return codes, values.size - int(has_background)


def count_overlap(a: np.ndarray, b: np.ndarray) -> Overlap:
    """Count the pixels of every pair of labels of two label maps, in one pass over the image.

    Args:
        a: (H, W) integer label map, 0 is background.
        b: (H, W) integers, the other label map, of the same size.

    Returns:
        The joint histogram.

    Raises:
        ValueError: the sizes differ (the leaf challenge's script returns a difference in count of
            -1 then, which cannot be told from one missed object), or one is not a label map.
    """
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"label maps of different sizes, {np.shape(a)} and {np.shape(b)}: bring both to the "
            "size of the ground truth first (nearest neighbour)"
        )
    # labels may be as large as a colour of 24 bits, and the table has a row for each
    codes_a, num_a = relabel_consecutively(a)
    codes_b, num_b = relabel_consecutively(b)
    rows, columns = num_a + 1, num_b + 1
    # one pass over the pixels, however many pairs of objects there are
    counts = np.bincount((codes_a * columns + codes_b).ravel(), minlength=rows * columns)
    return Overlap(counts.reshape(rows, columns))


def _checked(labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iub":
        raise ValueError(
            f"found an array of shape {labels.shape} and type {labels.dtype}, expected a label map "
            "(H, W) of integers"
        )
    if labels.size and labels.min() < 0:
        raise ValueError(f"found the label {labels.min()}, expected 0 (background) or greater")
    return labels
