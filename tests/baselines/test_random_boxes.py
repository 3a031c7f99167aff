from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.baselines.random_boxes import BoxRange, box_masks, random_boxes
from recseg_d2.errors import UserError

SHAPE = (60, 100)


def draw(number=4000, given=BoxRange(), shape=SHAPE, seed=0):  # noqa: B008  (frozen)
    return random_boxes(np.random.default_rng(seed), shape, number, given)


def test_boxes_lie_in_the_image_and_reach_its_border():
    boxes = draw()
    assert boxes.dtype == np.int64
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [100, 60]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes[:, :2].min(axis=0).tolist() == [0, 0]
    assert boxes[:, 2:].max(axis=0).tolist() == [100, 60]


def test_sizes_are_log_uniform_and_keep_to_the_aspect():
    given = BoxRange(0.2, 0.5, 1.5)
    size = np.diff(draw(given=given, shape=(1000, 2000)).reshape(-1, 2, 2), axis=1)[:, 0]
    mean = np.sqrt(size.prod(axis=1))
    assert mean.min() >= 199
    assert mean.max() <= 501
    assert np.median(mean) == pytest.approx(np.sqrt(200 * 500), rel=0.05)
    aspect = size[:, 0] / size[:, 1]
    assert 1 / 1.52 < aspect.min() < 0.7
    assert 1.4 < aspect.max() < 1.52


def test_boxes_larger_than_the_image_are_cut_and_none_is_empty():
    boxes = draw(given=BoxRange(0.9, 1.0, 16.0), shape=(5, 5))
    size = boxes[:, 2:] - boxes[:, :2]
    assert size.max() == 5
    assert size.min() == 1


def test_a_seed_repeats_the_draw():
    np.testing.assert_array_equal(draw(5), draw(5))
    assert (draw(5) != draw(5, seed=1)).any()


def test_masks_are_filled_boxes():
    masks = box_masks(np.array([[1, 0, 3, 2], [0, 2, 4, 3]]), (3, 4))
    assert masks.dtype == bool
    expected = [
        [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]],
    ]
    np.testing.assert_array_equal(masks, np.array(expected, bool))
    assert box_masks(np.zeros((0, 4), np.int64), (3, 4)).shape == (0, 3, 4)


@pytest.mark.parametrize("bad", [(0, 0.5, 2), (0.6, 0.5, 2), (0.1, 1.5, 2), (0.1, 0.5, 0.5)])
def test_impossible_ranges_are_refused(bad):
    with pytest.raises(UserError, match="expected 0 < smallest <= largest <= 1 <= aspect"):
        BoxRange(*bad)
