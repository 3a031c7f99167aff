"""Panoptic quality against its literal definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recseg_d2.metrics import count_overlap
from recseg_d2.metrics.panoptic_quality import (
    panoptic_quality,
    panoptic_sums,
    recognition_quality,
    segmentation_quality,
)

LABELS = arrays(np.int32, (3, 6), elements=st.sampled_from([0, 0, 1, 2, 70]))


def masks(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == value for value in sorted(set(labels.ravel().tolist()) - {0})]


def slow(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """PQ, SQ and RQ by going through all pairs."""
    found, true = masks(prediction), masks(truth)
    pairs = [(x & y).sum() / (x | y).sum() for x in found for y in true]
    matches = [iou for iou in pairs if iou > 0.5]
    false = (len(found) - len(matches)) / 2 + (len(true) - len(matches)) / 2
    sq = sum(matches) / len(matches) if matches else math.nan
    if not found and not true:
        return math.nan, sq, math.nan
    return sum(matches) / (len(matches) + false), sq, len(matches) / (len(matches) + false)


@given(LABELS, LABELS)
def test_equal_to_the_literal_definition(prediction, truth):
    sums = panoptic_sums(count_overlap(prediction, truth))
    numbers = panoptic_quality(sums), segmentation_quality(sums), recognition_quality(sums)
    assert numbers == pytest.approx(slow(prediction, truth), nan_ok=True)
    if not math.isnan(numbers[1]):
        assert numbers[0] == pytest.approx(numbers[1] * numbers[2])


def test_an_iou_of_one_half_is_no_match():
    sums = panoptic_sums(count_overlap(np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 1]])))
    assert sums.tolist() == [0, 0, 2, 1]
    assert panoptic_quality(sums) == recognition_quality(sums) == 0.0
    assert math.isnan(segmentation_quality(sums))
