from __future__ import annotations

import json

import pytest

from recseg_d2.data.summary import ImageFacts, Summary

CLASSES = ("cat", "dog", "owl")
FACTS = [
    ImageFacts((10, 20), categories=[0, 0, 1], areas=[4, 16, 36], crowds=2),
    ImageFacts((10, 20), categories=[], areas=[]),
    ImageFacts((30, 30), categories=[1], areas=[64]),
    ImageFacts((10, 20), annotated=False),
]


def test_numbers_worked_by_hand():
    summary = Summary.of(FACTS, CLASSES)
    assert (summary.images, summary.unannotated, summary.empty) == (4, 1, 1)
    assert (summary.objects, summary.crowds) == (4, 2)
    assert summary.per_class == {"cat": 2, "dog": 2, "owl": 0}
    assert summary.images_per_class == {"cat": 1, "dog": 2, "owl": 0}
    assert summary.per_image == {"0": 1, "1": 1, "2-4": 1}
    assert summary.objects_range == (0, pytest.approx(4 / 3), 3)
    assert summary.image_sizes == {"20 x 10": 3, "30 x 30": 1}
    assert summary.object_sides == [2, 3.5, 5, 6.5, 8]
    # 4, 16 and 36 of 200 pixels, 64 of 900: 2, 7.11, 8 and 18 percent
    expected = [2, 2 + 0.75 * (64 / 9 - 2), (64 / 9 + 8) / 2, 10.5, 18]
    assert summary.object_shares == pytest.approx(expected)


def test_many_objects_fall_into_wide_bins():
    facts = [ImageFacts((9, 9), categories=[0] * n, areas=[1] * n) for n in (4, 5, 19, 20, 50, 99)]
    assert Summary.of(facts, CLASSES).per_image == {
        "2-4": 1, "5-9": 1, "10-19": 1, "20-49": 1, "50-": 2,
    }  # fmt: skip


def test_the_table_names_the_classes_that_occur():
    text = Summary.of(FACTS, CLASSES).table()
    assert "cat" in text
    assert "owl" not in text
    assert "0: 1, 1: 1, 2-4: 1" in text
    assert "0, 1.33, 3" in text


def test_json_and_the_empty_data_set():
    empty = Summary.of([], CLASSES)
    assert json.loads(json.dumps(empty.as_dict()))["objects_range"] == [0, 0.0, 0]
    assert empty.object_sides == []
    assert "cat" not in empty.table()
