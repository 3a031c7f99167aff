from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recseg_d2.metrics.stereo_distance import distance_of_segments, distances_from_disparity

BASELINE, FOCAL = 0.2, 2000.0  # 400 metres at one pixel


def test_distances_by_hand():
    disparity = np.array([[0, 1, 257, 2561]], dtype=np.uint16)  # unknown, 0, 1 and 10 pixels
    meters = distances_from_disparity(disparity, BASELINE, FOCAL)
    assert meters[0, 1:].tolist() == pytest.approx([math.inf, 400.0, 40.0])
    assert math.isnan(meters[0, 0])


def test_segments_by_hand():
    codes = np.array([[1, 1, 1, 2, 2, 0, 3]], dtype=np.uint16)
    meters = np.array([[10.0, 30.0, math.nan, 5.0, 8.0, 1.0, math.nan]])
    median, density = distance_of_segments(codes, 3, meters)
    assert median.tolist() == [20.0, 6.5, math.inf]
    assert density.tolist() == pytest.approx([2 / 3, 1.0, 0.0])


def test_no_segment():
    median, density = distance_of_segments(np.zeros((2, 2), np.uint16), 0, np.ones((2, 2)))
    assert median.shape == density.shape == (0,)


@given(st.integers(0, 1000))
def test_equal_to_a_loop(seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (5, 6)).astype(np.uint16)
    codes.ravel()[:3] = [1, 2, 3]
    meters = rng.choice([1.0, 2.0, 7.0, math.inf, math.nan], codes.shape)
    median, density = distance_of_segments(codes, 3, meters)
    for k in range(3):
        inside = [v for v in meters[codes == k + 1].tolist() if not math.isnan(v)]
        assert density[k] == pytest.approx(len(inside) / (codes == k + 1).sum())
        assert median[k] == (np.median(inside) if inside else math.inf)
