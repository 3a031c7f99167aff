from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metrics.label_maps import on_label_maps

from recseg_d2.metrics import precision_recall
from recseg_d2.metrics.precision_recall import precision, recall

object_hits = on_label_maps(precision_recall.object_hits)
pixel_hits = on_label_maps(precision_recall.pixel_hits)

LABELS = arrays(np.int32, (4, 5), elements=st.sampled_from([0, 0, 1, 2, 70]))
THRESHOLDS = st.sampled_from([0.25, 0.5, 0.75, 1.0])


def slow_masks(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == value for value in sorted(set(labels.ravel().tolist()) - {0})]


def slow_hits(a: np.ndarray, b: np.ndarray, threshold: float) -> tuple[int, int]:
    """Objects of a, and those whose IoU with an object of b reaches the threshold."""
    hits = 0
    for x in slow_masks(a):
        hits += any((x & y).sum() / (x | y).sum() >= threshold for y in slow_masks(b))
    return len(slow_masks(a)), hits


@given(LABELS, LABELS, THRESHOLDS)
def test_objects_equal_the_literal_definition(prediction, truth, threshold):
    hits = object_hits(prediction, truth, threshold)
    assert tuple(hits[:2]) == slow_hits(prediction, truth, threshold)
    assert tuple(hits[2:]) == slow_hits(truth, prediction, threshold)


@given(LABELS, LABELS)
def test_pixels_equal_the_literal_definition(prediction, truth):
    p, t = prediction > 0, truth > 0
    both = int((p & t).sum())
    assert pixel_hits(prediction, truth).tolist() == [p.sum(), both, t.sum(), both]


def test_by_hand():
    truth = np.array([[1, 1, 1, 2, 2, 2, 3, 0]])
    prediction = np.array([[4, 4, 0, 5, 0, 0, 0, 6]])
    objects = object_hits(prediction, truth)  # 4 with 1: 2/3; 5 with 2: 1/3; 6: nothing
    assert (precision(objects), recall(objects)) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    pixels = pixel_hits(prediction, truth)
    assert (precision(pixels), recall(pixels)) == (pytest.approx(3 / 4), pytest.approx(3 / 7))


def test_an_iou_equal_to_the_threshold_hits_and_not_one_to_one():
    truth, prediction = np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])
    assert object_hits(prediction, truth).tolist() == [2, 2, 1, 1]


def test_counts_of_images_add_up():
    pairs = [([[1, 0]], [[1, 0]]), ([[1, 2]], [[3, 0]]), ([[0, 0]], [[1, 1]])]
    arrays_ = [(np.array(p), np.array(t)) for p, t in pairs]
    pooled = sum(object_hits(p, t) for p, t in arrays_)
    assert pooled.tolist() == [3, 2, 3, 2]
    assert (precision(pooled), recall(pooled)) == (pytest.approx(2 / 3), pytest.approx(2 / 3))


@pytest.mark.parametrize("function", [object_hits, pixel_hits])
def test_empty_sides(function):
    nothing, something = np.zeros((2, 2), int), np.array([[0, 1], [0, 1]])
    assert math.isnan(precision(function(nothing, something)))
    assert recall(function(nothing, something)) == 0.0
    assert precision(function(something, nothing)) == 0.0
    assert math.isnan(recall(function(something, nothing)))
    assert math.isnan(precision(function(nothing, nothing)))


def test_one_huge_object():
    huge = np.ones((3, 3), int)
    assert precision(object_hits(huge, huge)) == recall(pixel_hits(huge, huge)) == 1.0
