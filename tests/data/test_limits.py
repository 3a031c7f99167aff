from __future__ import annotations

import pytest

from recseg_d2.data.limits import ObjectLimits


def record(objects, crowds=0):
    return {"annotations": [{"iscrowd": 0}] * objects + [{"iscrowd": 1}] * crowds}


@pytest.mark.parametrize(
    ("limits", "kept"),
    [((0, None), [0, 1, 2, 3]), ((1, 2), [1, 2]), ((0, 0), [0]), ((4, None), [])],
)
def test_numbers_within_the_limits_are_kept(limits, kept):
    assert [n for n in range(4) if ObjectLimits(*limits).keeps(record(n))] == kept


def test_crowds_do_not_count_and_images_without_ground_truth_stay():
    assert not ObjectLimits(fewest=1).keeps(record(0, crowds=3))
    assert ObjectLimits(most=1).keeps(record(1, crowds=3))
    assert ObjectLimits(fewest=1).keeps({})


def test_what_is_said_where_nothing_is_left():
    text = ObjectLimits(3).why_empty([record(1, crowds=4), record(2)])
    assert "none of 2 images is left; they have 1 to 2 objects, wanted are 3 to any" in text
    assert "they have 0 to 0 objects, wanted are 0 to 1" in ObjectLimits(most=1).why_empty([])
