from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metrics.label_maps import on_label_maps

from recseg_d2.metrics import counting

absolute_difference_in_count = on_label_maps(counting.absolute_difference_in_count)
count_accuracy = on_label_maps(counting.count_accuracy)
difference_in_count = on_label_maps(counting.difference_in_count)
squared_count_error = on_label_maps(counting.squared_count_error)

LABELS = arrays(np.int32, (4, 4), elements=st.sampled_from([0, 1, 4, 9, 300]))


@given(LABELS, LABELS)
def test_equal_to_the_literal_definition(a, b):
    expected = len(set(a[a > 0])) - len(set(b[b > 0]))
    assert difference_in_count(a, b) == -difference_in_count(b, a) == expected
    assert absolute_difference_in_count(a, b) == abs(expected)
    assert count_accuracy(a, b) == (expected == 0)
    assert squared_count_error(a, b) == expected * expected


def test_sign_is_predicted_minus_true(two_exact_and_four_extra):
    prediction, truth = two_exact_and_four_extra
    assert difference_in_count(prediction, truth) == 4
    assert difference_in_count(np.zeros_like(truth), truth) == -2


def test_gaps_between_labels_do_not_count():
    assert difference_in_count(np.array([[0, 9]]), np.array([[0, 1]])) == 0


def test_different_sizes_are_refused():
    with pytest.raises(ValueError, match="different sizes"):
        difference_in_count(np.zeros((2, 2), int), np.zeros((1, 2), int))


def test_nothing_on_either_side_is_counted_right():
    empty = np.zeros((2, 2), int)
    assert count_accuracy(empty, empty)
    assert squared_count_error(empty, empty) == 0
