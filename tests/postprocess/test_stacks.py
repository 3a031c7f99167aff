"""Objects linked over the slices of a stack, beside hand-worked stacks and a literal count."""

from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.postprocess.stacks import keep_whole_volumes, label_ious, link_slices


def rows(*labels: list[int]) -> np.ndarray:
    return np.array(labels)


def test_an_object_keeps_its_number_and_new_ones_get_the_next():
    stack = link_slices(
        [
            rows([1, 1, 0, 0, 0, 0]),
            rows([2, 2, 0, 1, 1, 0]),  # the first goes on, whatever its label; another begins
            rows([0, 0, 0, 0, 1, 1]),  # one ends; IoU 1/3 with the other
            rows([1, 1, 0, 0, 0, 0]),  # what was missed in a slice is another object
        ],
        min_iou=0.3,
    )
    assert stack[:, 0].tolist() == [
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 2, 2, 0],
        [0, 0, 0, 0, 2, 2],
        [3, 3, 0, 0, 0, 0],
    ]
    assert stack.dtype == np.int32


def test_the_limit_is_a_smallest_iou():
    slices = [rows([1, 1, 0]), rows([0, 1, 1])]  # IoU 1/3
    assert link_slices(slices, 1 / 3).max() == 1
    assert link_slices(slices, 0.34).max() == 2


def test_an_object_that_parts_goes_on_in_the_larger_part():
    stack = link_slices([rows([1, 1, 1, 1, 1]), rows([1, 0, 2, 2, 2])], 0.1)
    assert stack[1, 0].tolist() == [2, 0, 1, 1, 1]


def test_slices_without_objects():
    empty = np.zeros((1, 3), int)
    assert not link_slices([empty, empty], 0.5).any()
    assert link_slices([empty, rows([0, 1, 0]), empty], 0.5)[:, 0].tolist() == [
        [0, 0, 0],
        [0, 1, 0],
        [0, 0, 0],
    ]


def test_ious_are_those_of_each_pair_of_masks():
    rng = np.random.default_rng(0)
    first, second = rng.choice([0, 3, 7], (9, 8)), rng.choice([0, 1, 2, 4], (9, 8))
    found, ious = label_ious(first, second)
    assert found.tolist() == [3, 7]
    for row, a in enumerate(found):
        for b in range(1, 5):
            inside = ((first == a) & (second == b)).sum()
            either = ((first == a) | (second == b)).sum()
            assert ious[row, b - 1] == pytest.approx(inside / either)


def test_small_objects_and_those_at_any_of_six_sides_are_left_out():
    labels = np.zeros((4, 5, 5), int)
    labels[1:3, 2, 1:3] = 1
    labels[1, 2, 3] = 2
    labels[0:2, 3, 3] = 3  # begins in the first slice
    labels[2, 0, 1] = 4
    labels[2, 1, 4] = 6
    assert np.unique(keep_whole_volumes(labels)).tolist() == [0, 1, 2, 3, 4, 5]
    large = keep_whole_volumes(labels, min_volume=2)
    assert ((large == 1) == (labels == 1)).all()
    assert ((large == 2) == (labels == 3)).all()
    assert large.max() == 2
    whole = keep_whole_volumes(labels, drop_border=True)
    assert ((whole == 1) == (labels == 1)).all()
    assert ((whole == 2) == (labels == 2)).all()
    assert whole.max() == 2
