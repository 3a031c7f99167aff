"""Objects of several runs as one set, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recseg_d2 import rle
from recseg_d2.postprocess.ensembles import FoundObject, merge_runs


def found(pixels: str, score: float, category: int = 0) -> FoundObject:
    """An object in a row of pixels, such as "0110"."""
    return FoundObject(rle.encode(np.array([[int(p) for p in pixels]], np.uint8)), score, category)


def pixels(merged: FoundObject) -> str:
    return "".join(map(str, rle.decode(merged.mask)[0].tolist()))


def test_one_run_is_itself_by_scores():
    merged = merge_runs([[found("1100", 0.4), found("0011", 0.9)]])
    assert [(pixels(m), m.score) for m in merged] == [("0011", 0.9), ("1100", 0.4)]


def test_pairs_are_one_object_of_the_mean_score():
    merged = merge_runs([[found("111000", 0.8), found("000011", 0.5)], [found("011000", 0.6)]])
    assert [m.score for m in merged] == pytest.approx([0.7, 0.25])
    # where the masks differ the more certain one decides
    assert [pixels(m) for m in merged] == ["111000", "000011"]


def test_what_fewer_than_half_of_the_runs_found_is_left_out():
    same = [found("1100", 0.9)]
    merged = merge_runs([same, [*same, found("0011", 1.0)], same])
    assert [pixels(m) for m in merged] == ["1100"]
    assert merged[0].score == pytest.approx(0.9)


def test_masks_are_those_of_the_majority():
    merged = merge_runs([[found("11110", 0.5)], [found("01110", 0.5)], [found("00110", 0.5)]])
    assert [pixels(m) for m in merged] == ["01110"]


def test_each_object_has_one_partner_and_only_of_its_class():
    first = [found("11110000", 0.9)]
    second = [found("11100000", 0.8), found("01110000", 0.7)]
    merged = merge_runs([first, second])
    assert len(merged) == 2
    others = merge_runs([first, [found("11110000", 0.9, category=1)]])
    assert [m.category for m in others] == [0, 1]


def test_masks_that_hardly_overlap_are_two_objects():
    assert len(merge_runs([[found("1110", 0.9)], [found("0111", 0.9)]])) == 1  # IoU 1/2
    assert len(merge_runs([[found("1100", 0.9)], [found("0110", 0.9)]])) == 2  # IoU 1/3


def test_runs_without_objects():
    assert merge_runs([[], []]) == []
    assert [m.score for m in merge_runs([[], [found("1", 0.8)]])] == [0.4]
