from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.data.synthetic.outlines import OUTLINES, inside


@pytest.mark.parametrize("name", OUTLINES)
def test_outlines_have_area_and_the_origin_is_within_their_box(name):
    points = OUTLINES[name](np.random.default_rng(0))
    assert points.ndim == 2
    assert points.shape[1] == 2
    y, x = points.T
    area = 0.5 * abs(np.dot(y, np.roll(x, -1)) - np.dot(x, np.roll(y, -1)))
    assert area > 0.5
    assert (points.min(axis=0) < 0).all()
    assert (points.max(axis=0) > 0).all()


def testinside_a_polygon_by_hand():
    """A square of side 2 with a notch: centres of pixels, row by row."""
    corners = np.array([[0, 0], [0, 3], [3, 3], [3, 2], [1, 2], [1, 1], [3, 1], [3, 0.0]])
    grid = np.arange(4)
    covered = inside(corners, grid[:, None] + 0.5, grid[None, :] + 0.5)
    expected = [[1, 1, 1, 0], [1, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(covered, np.array(expected, bool))
