from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metrics.label_maps import on_label_maps

from recseg_d2.metrics import coverage

count_false_negatives = on_label_maps(coverage.count_false_negatives)
count_false_positives = on_label_maps(coverage.count_false_positives)
mean_unweighted_coverage = on_label_maps(coverage.mean_unweighted_coverage)
mean_weighted_coverage = on_label_maps(coverage.mean_weighted_coverage)

LABELS = arrays(np.int32, (5, 6), elements=st.sampled_from([0, 0, 1, 2, 9, 300]))
EMPTY = np.zeros((3, 4), dtype=np.int32)


def slow_objects(labels: np.ndarray) -> list[set[tuple[int, int]]]:
    """The pixels of each object."""
    pixels: dict[int, set[tuple[int, int]]] = {}
    for y, row in enumerate(labels.tolist()):
        for x, label in enumerate(row):
            if label:
                pixels.setdefault(label, set()).add((y, x))
    return list(pixels.values())


def slow_coverage(prediction: np.ndarray, truth: np.ndarray, weighted: bool) -> float:
    """Best IoU of each true object, averaged."""
    objects, found = slow_objects(truth), slow_objects(prediction)
    if not objects:
        return math.nan
    total = sum(len(g) for g in objects)
    score = 0.0
    for g in objects:
        best = max((len(g & p) / len(g | p) for p in found), default=0.0)
        score += best * (len(g) / total if weighted else 1 / len(objects))
    return score


def slow_untouched(a: np.ndarray, b: np.ndarray) -> int:
    """Objects of a that share no pixel with any of b."""
    return sum(all(x.isdisjoint(y) for y in slow_objects(b)) for x in slow_objects(a))


@given(LABELS, LABELS)
def test_equal_to_the_literal_definition(prediction, truth):
    for weighted, function in ((True, mean_weighted_coverage), (False, mean_unweighted_coverage)):
        expected = slow_coverage(prediction, truth, weighted)
        assert function(prediction, truth) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert count_false_positives(prediction, truth) == slow_untouched(prediction, truth)
    assert count_false_negatives(prediction, truth) == slow_untouched(truth, prediction)


@given(LABELS)
def test_itself_is_covered_wholly(labels):
    if labels.any():
        assert mean_weighted_coverage(labels, labels) == pytest.approx(1.0)
        assert mean_unweighted_coverage(labels, labels) == pytest.approx(1.0)
    assert count_false_positives(labels, labels) == count_false_negatives(labels, labels) == 0


def test_by_hand():
    truth = np.array([[1, 1, 1, 1, 2, 2, 0, 0, 3, 0]])
    prediction = np.array([[5, 5, 5, 0, 0, 5, 8, 0, 0, 9]])
    # 5 shares 3 of 4 with 1 (IoU 3/5) and 1 of 2 with 2 (IoU 1/5); 8 and 9 touch nothing, nor is
    # 3 touched.
    assert mean_unweighted_coverage(prediction, truth) == pytest.approx((3 / 5 + 1 / 5 + 0) / 3)
    assert mean_weighted_coverage(prediction, truth) == pytest.approx(
        (4 * 3 / 5 + 2 * 1 / 5 + 1 * 0) / 7
    )
    assert count_false_positives(prediction, truth) == 2
    assert count_false_negatives(prediction, truth) == 1


def test_weights_are_areas_of_the_true_objects():
    """Equation 33 as printed would weigh by the predictions' areas, and give 1/2 here."""
    truth = np.array([[1, 1, 1, 2]])
    prediction = np.array([[1, 1, 1, 0]])
    assert mean_weighted_coverage(prediction, truth) == 0.75
    assert mean_unweighted_coverage(prediction, truth) == 0.5


def test_extra_predictions_do_not_lower_coverage_but_are_false_positives(two_exact_and_four_extra):
    prediction, truth = two_exact_and_four_extra
    assert mean_weighted_coverage(prediction, truth) == 1.0
    assert count_false_positives(prediction, truth) == 4
    assert count_false_negatives(prediction, truth) == 0


def test_one_pixel_makes_a_hit():
    prediction = np.array([[0, 0, 0, 1, 1, 1, 1, 1]])
    truth = np.array([[1, 1, 1, 1, 0, 0, 0, 0]])
    assert count_false_positives(prediction, truth) == count_false_negatives(prediction, truth) == 0


def test_one_huge_object():
    huge, halves = np.ones((4, 6), dtype=int), np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0)
    assert mean_weighted_coverage(huge, huge) == 1.0
    assert mean_weighted_coverage(huge, halves) == mean_unweighted_coverage(huge, halves) == 0.5
    assert mean_weighted_coverage(halves, huge) == 0.5


def test_nothing_there():
    prediction = np.array([[0, 4, 5]])
    truth = np.zeros_like(prediction)
    for function in (mean_weighted_coverage, mean_unweighted_coverage):
        assert math.isnan(function(prediction, truth))
        assert function(prediction, truth, no_truth=0.0) == 0.0
        assert math.isnan(function(EMPTY, EMPTY))
    assert (count_false_positives(prediction, truth), count_false_positives(EMPTY, EMPTY)) == (2, 0)
    assert count_false_negatives(prediction, truth) == 0


def test_nothing_predicted():
    truth = np.array([[0, 4, 5]])
    prediction = np.zeros_like(truth)
    assert mean_weighted_coverage(prediction, truth) == 0.0
    assert mean_unweighted_coverage(prediction, truth) == 0.0
    assert count_false_positives(prediction, truth) == 0
    assert count_false_negatives(prediction, truth) == 2


def test_different_sizes_are_refused():
    with pytest.raises(ValueError, match="different sizes"):
        mean_weighted_coverage(np.zeros((2, 2), int), np.zeros((1, 2), int))
