from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.metrics.binned import SIZE_EDGES, BinnedMean, size_bins


def test_bins_of_sizes_by_hand():
    areas = np.array([1, 50, 51, 100, 300, 4900, 5000, 5001, 10000])
    edges = [SIZE_EDGES[i] for i in size_bins(areas, 10000)]  # 100 pixels are 1 %
    assert edges == [0.5, 0.5, 1, 1, 3, 50, 50, 100, 100]
    assert size_bins(np.zeros(0), 100).shape == (0,)


def test_mean_and_std_against_numpy():
    rng = np.random.default_rng(0)
    bins, values = rng.integers(0, 4, 50), rng.normal(size=50)
    whole, parts = BinnedMean(), BinnedMean(1)
    whole.update(bins, values)
    for part in (slice(0, 5), slice(5, 50)):
        parts.update(bins[part], values[part])
    for b in range(4):
        assert whole.count[b] == (bins == b).sum()
        assert whole.mean[b] == pytest.approx(values[bins == b].mean())
        assert whole.std[b] == pytest.approx(values[bins == b].std(ddof=1))
    np.testing.assert_allclose(parts.mean, whole.mean)
    np.testing.assert_allclose(parts.std, whole.std)


def test_empty_bins_and_single_values():
    mean = BinnedMean(3)
    mean.update(np.array([1]), np.array([0.5]))
    assert mean.count.tolist() == [0, 1, 0]
    np.testing.assert_equal(mean.mean, [np.nan, 0.5, np.nan])
    assert np.isnan(mean.std).all()


def test_nothing_added():
    mean = BinnedMean()
    mean.update(np.zeros(0), np.zeros(0))
    assert mean.count.shape == mean.mean.shape == mean.std.shape == (0,)
