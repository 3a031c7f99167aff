from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recseg_d2.metrics.overlap import count_overlap, relabel_consecutively

LABELS = arrays(np.int32, (5, 6), elements=st.sampled_from([0, 1, 2, 5, 70000]))


def test_counts_by_hand():
    a = np.array([[0, 3, 3], [9, 9, 3]])
    b = np.array([[2, 2, 0], [2, 0, 0]])
    table = count_overlap(a, b)
    assert table.counts.tolist() == [[0, 1], [2, 1], [1, 1]]
    assert (table.num_a, table.num_b) == (2, 1)
    assert table.areas_a.tolist() == [3, 2]
    assert table.areas_b.tolist() == [3]
    assert table.intersections.tolist() == [[1], [1]]


@given(LABELS, LABELS)
def test_counts_equal_a_double_loop(a, b):
    table = count_overlap(a, b)
    values_a = [0, *sorted(set(a.ravel().tolist()) - {0})]
    values_b = [0, *sorted(set(b.ravel().tolist()) - {0})]
    expected = [[int(((a == x) & (b == y)).sum()) for y in values_b] for x in values_a]
    assert table.counts.tolist() == expected
    assert table.counts.sum() == a.size


@given(LABELS, LABELS)
def test_swapped_is_the_other_order(a, b):
    assert np.array_equal(count_overlap(a, b).swapped().counts, count_overlap(b, a).counts)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.uint16, np.int64, np.uint64])
def test_any_integer_type(dtype):
    labels = np.array([[0, 1], [1, 0]]).astype(dtype)
    assert count_overlap(labels, labels).counts.tolist() == [[2, 0], [0, 2]]


def test_gaps_are_closed_and_order_is_kept():
    labels, count = relabel_consecutively(np.array([[40, 0], [7, 2_000_000_000]]))
    assert labels.tolist() == [[2, 0], [1, 3]]
    assert count == 3


def test_image_without_background_keeps_all_objects():
    labels, count = relabel_consecutively(np.array([[4, 4], [9, 9]]))
    assert labels.tolist() == [[1, 1], [2, 2]]
    assert count == 2


def test_no_pixels():
    empty = np.zeros((0, 4), dtype=np.int32)
    assert count_overlap(empty, empty).counts.tolist() == [[0]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((2, 2)), "integers"),
        (np.zeros((1, 2, 2), dtype=int), r"\(1, 2, 2\)"),
        (np.array([[0, -1]]), "-1"),
    ],
)
def test_what_is_no_label_map_is_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        count_overlap(labels, labels)


def test_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        count_overlap(np.zeros((2, 3), int), np.zeros((3, 2), int))
