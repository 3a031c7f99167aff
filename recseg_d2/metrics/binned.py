"""Means of a quantity over bins of another one, such as IoU by size."""

from __future__ import annotations

import numpy as np

# Percent of the image that an object covers: upper edges of the bins of Salvador et al. 2017,
# figure 3d, and one more for all that is larger.
SIZE_EDGES = (0.5, 1.0, 3.0, 5.0, *(float(edge) for edge in range(10, 51, 5)), 100.0)


def size_bins(areas: np.ndarray, image_area: int) -> np.ndarray:
    """(N,) int64, the bin in ``SIZE_EDGES`` of objects of so many pixels; an edge belongs below."""
    percent = 100.0 * np.asarray(areas, dtype=float) / image_area
    return np.minimum(np.searchsorted(SIZE_EDGES, percent, side="left"), len(SIZE_EDGES) - 1)


class BinnedMean:
    """Count, mean and standard deviation of values by bin; additive.

    Args:
        num_bins: grows by itself where a greater bin occurs.
    """

    def __init__(self, num_bins: int = 0) -> None:
        self._sums = np.zeros((3, num_bins))  # of 1, value, value squared

    def update(self, bins: np.ndarray, values: np.ndarray) -> None:
        """Add (N,) values, each with its bin, 0 or greater."""
        bins = np.asarray(bins, dtype=np.int64)
        values = np.asarray(values, dtype=float)
        self._grow(int(bins.max(initial=-1)) + 1)
        np.add.at(self._sums.T, bins, np.stack([np.ones_like(values), values, values**2], axis=1))

    @property
    def count(self) -> np.ndarray:
        """(bins,) int64, how many values."""
        return self._sums[0].astype(np.int64)

    @property
    def mean(self) -> np.ndarray:
        """(bins,) float; NaN where a bin is empty."""
        count, total, _ = self._sums
        return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)

    @property
    def std(self) -> np.ndarray:
        """(bins,) float, sample standard deviation (n - 1); NaN for fewer than two values."""
        count, _, squares = self._sums
        # rounding may bring the difference of two large sums below 0
        spread = np.maximum(squares - count * np.nan_to_num(self.mean) ** 2, 0.0)
        variance = np.divide(spread, count - 1, out=np.full(len(count), np.nan), where=count > 1)
        return np.sqrt(variance)

    def _grow(self, num_bins: int) -> None:
        missing = num_bins - self._sums.shape[1]
        if missing > 0:
            self._sums = np.pad(self._sums, ((0, 0), (0, missing)))
