from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metrics.label_maps import on_label_maps

from recseg_d2.metrics import dice

best_dice = on_label_maps(dice.best_dice)
foreground_dice = on_label_maps(dice.foreground_dice)
legacy_symmetric_best_dice = on_label_maps(dice.legacy_symmetric_best_dice)
symmetric_best_dice = on_label_maps(dice.symmetric_best_dice)

LABELS = arrays(np.int32, (5, 6), elements=st.integers(0, 4))
EMPTY = np.zeros((3, 4), dtype=np.int32)
ONE_PIXEL = np.pad([[1]], ((1, 1), (1, 2)))


def slow_objects(labels: np.ndarray) -> list[np.ndarray]:
    """One mask for each label that occurs, background 0 left out."""
    return [labels == value for value in sorted(set(labels.ravel().tolist())) if value != 0]


def slow_dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice of two masks."""
    both = float(np.logical_and(a, b).sum())
    return 2.0 * both / (float(a.sum()) + float(b.sum()))


def slow_best_dice(a: np.ndarray, b: np.ndarray) -> float:
    """Mean over the objects of a of the best dice; 0 if a or b has none."""
    of_a, of_b = slow_objects(a), slow_objects(b)
    if not of_a or not of_b:
        return 0.0
    best = [max(slow_dice(x, y) for y in of_b) for x in of_a]
    return sum(best) / len(best)


def slow_symmetric_best_dice(a: np.ndarray, b: np.ndarray) -> float:
    """The smaller of both directions."""
    return min(slow_best_dice(a, b), slow_best_dice(b, a))


def slow_foreground_dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice of the unions; NaN for 0/0."""
    if not (a > 0).any() and not (b > 0).any():
        return float("nan")
    return slow_dice(a > 0, b > 0)


def slow_legacy(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Both means over as many slots as there are true objects; an empty slot scores 0."""
    predicted, true = slow_objects(prediction), slow_objects(truth)
    if not predicted or not true:
        return 0.0
    slots = [max(slow_dice(p, t) for t in true) for p in predicted] + [0.0] * len(true)
    found = [max(slow_dice(p, t) for p in predicted) for t in true]
    return min(sum(slots[: len(true)]), sum(found)) / len(true)


def same(a: float, b: float) -> bool:
    return a == pytest.approx(b, abs=1e-12, nan_ok=True)


@given(LABELS, LABELS)
def test_equal_to_the_literal_definition(a, b):
    assert same(best_dice(a, b), slow_best_dice(a, b))
    assert same(symmetric_best_dice(a, b), slow_symmetric_best_dice(a, b))
    assert same(foreground_dice(a, b), slow_foreground_dice(a, b))


@given(LABELS, LABELS)
def test_symmetric_and_bounded(a, b):
    assert same(symmetric_best_dice(a, b), symmetric_best_dice(b, a))
    assert 0.0 <= symmetric_best_dice(a, b) <= min(best_dice(a, b), best_dice(b, a)) <= 1.0


@given(LABELS, LABELS, st.permutations(range(1, 5)))
def test_names_of_the_objects_do_not_matter(a, b, order):
    renamed = np.array([0, *order])[a] * 1000
    assert same(symmetric_best_dice(renamed, b), symmetric_best_dice(a, b))
    assert same(foreground_dice(renamed, b), foreground_dice(a, b))


@given(LABELS)
def test_itself_is_perfect_if_there_is_an_object(a):
    assert symmetric_best_dice(a, a) == (1.0 if a.any() else 0.0)


def test_every_prediction_counts(two_exact_and_four_extra):
    prediction, truth = two_exact_and_four_extra
    assert best_dice(truth, prediction) == 1.0
    assert best_dice(prediction, truth) == pytest.approx(2 / 6)
    assert symmetric_best_dice(prediction, truth) == pytest.approx(1 / 3)


def test_by_hand():
    truth = np.array([[1, 1, 1, 1, 2, 2, 0, 0]])
    prediction = np.array([[5, 5, 5, 0, 0, 5, 8, 0]])
    # 5 has 4 pixels, shares 3 with 1 (6/8) and 1 with 2 (2/6); 8 has none. Missed: nothing wholly.
    assert best_dice(prediction, truth) == pytest.approx((6 / 8 + 0) / 2)
    assert best_dice(truth, prediction) == pytest.approx((6 / 8 + 2 / 6) / 2)
    assert symmetric_best_dice(prediction, truth) == pytest.approx(0.375)
    assert foreground_dice(prediction, truth) == pytest.approx(2 * 4 / (5 + 6))


def test_merged_objects_lower_one_direction_only():
    truth = np.array([[1, 1, 2, 2]])
    merged = np.array([[1, 1, 1, 1]])
    assert best_dice(merged, truth) == pytest.approx(2 * 2 / 6)
    assert symmetric_best_dice(merged, truth) == pytest.approx(2 / 3)
    assert foreground_dice(merged, truth) == 1.0


def test_image_without_background_keeps_its_first_object():
    truth = np.array([[1, 1, 2, 2]])
    assert symmetric_best_dice(truth, truth) == 1.0
    assert symmetric_best_dice(np.array([[0, 0, 2, 2]]), truth) == pytest.approx(0.5)


@pytest.mark.parametrize(("a", "b"), [(EMPTY, ONE_PIXEL), (ONE_PIXEL, EMPTY)])
def test_one_side_empty(a, b):
    assert best_dice(a, b) == symmetric_best_dice(a, b) == foreground_dice(a, b) == 0.0


def test_both_empty():
    assert best_dice(EMPTY, EMPTY) == symmetric_best_dice(EMPTY, EMPTY) == 0.0
    assert symmetric_best_dice(EMPTY, EMPTY, both_empty=1.0) == 1.0
    assert math.isnan(foreground_dice(EMPTY, EMPTY))
    assert foreground_dice(EMPTY, EMPTY, both_empty=1.0) == 1.0


def test_one_pixel():
    assert symmetric_best_dice(ONE_PIXEL, ONE_PIXEL) == foreground_dice(ONE_PIXEL, ONE_PIXEL) == 1.0


def test_many_objects_need_no_loop():
    labels = np.arange(1, 2501, dtype=np.int32).reshape(50, 50)
    assert symmetric_best_dice(labels, labels[::-1]) == 1.0


@given(LABELS, LABELS)
def test_legacy_equals_its_literal_definition(a, b):
    assert same(legacy_symmetric_best_dice(a, b), slow_legacy(a, b))


def test_legacy_forgives_extra_predictions(two_exact_and_four_extra):
    prediction, truth = two_exact_and_four_extra
    assert legacy_symmetric_best_dice(prediction, truth) == 1.0
    assert symmetric_best_dice(prediction, truth) == pytest.approx(1 / 3)


def test_legacy_counts_missing_predictions_and_empty_sides():
    truth = np.array([[1, 1, 2, 2]])
    assert legacy_symmetric_best_dice(np.array([[1, 1, 0, 0]]), truth) == 0.5
    for a, b in ((EMPTY, ONE_PIXEL), (ONE_PIXEL, EMPTY), (EMPTY, EMPTY)):
        assert legacy_symmetric_best_dice(a, b) == 0.0
