"""Run-length encoded masks against pycocotools, by hand, and damaged ones."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from pycocotools import mask as coco_mask

from recseg_d2 import rle
from recseg_d2.errors import UserError

SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))
MASK = np.zeros((6, 8), np.uint8)
MASK[1:4, 2:7] = 1
RUNS = [13, 3, 3, 3, 3, 3, 3, 3, 3, 3, 8]  # down the columns


def reference(mask):
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))


def text(mask):
    found = reference(mask)
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


@settings(max_examples=60, deadline=None)
@given(nps.arrays(bool, SIDES))
def test_masks_there_and_back(mask):
    found = rle.encode(mask)
    assert found == text(mask)
    assert json.loads(json.dumps(found)) == found
    decoded = rle.decode(found)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, mask)


@settings(max_examples=60, deadline=None)
@given(nps.arrays(np.int32, SIDES, elements=st.integers(-1, 4)))
def test_labels_equal_their_masks_one_by_one(labels):
    values = [int(v) for v in np.unique(labels) if v > 0]
    assert rle.encode_labels(labels) == {v: text(labels == v) for v in values}


def test_long_runs_and_long_lists_of_them():
    rng = np.random.default_rng(0)
    masks = [rng.random((300, 400)) > 0.5, np.zeros((2000, 3000), bool), np.ones((2000, 3000))]
    for mask in masks:
        found = rle.encode(mask)
        assert found == text(mask)
        np.testing.assert_array_equal(rle.decode(found), mask)


def test_many_masks():
    masks = np.random.default_rng(0).random((300, 4, 3)) > 0.5
    found = rle.encode_masks(masks)
    assert found == [text(mask) for mask in masks]
    assert rle.areas(found).tolist() == masks.sum(axis=(1, 2)).tolist()
    assert rle.boxes(found).shape == (300, 4)
    flat = masks.reshape(300, -1).astype(int)
    shared = flat @ flat.T
    union = np.maximum(flat.sum(1)[:, None] + flat.sum(1) - shared, 1)
    np.testing.assert_allclose(rle.overlaps(found, found), shared / union)
    assert rle.encode_masks(masks[:0]) == []


def test_every_form_is_the_same_mask():
    forms = [{"size": [6, 8], "counts": RUNS}, reference(MASK), text(MASK)]
    for form in forms:
        assert rle.checked(form, "a.json") == text(MASK)
        assert rle.run_lengths(form).tolist() == RUNS
        np.testing.assert_array_equal(rle.decode(form), MASK)
    assert rle.encode_polygons([[2.0, 1.0, 7.0, 1.0, 7.0, 4.0, 2.0, 4.0]], (6, 8)) == text(MASK)


def test_several_polygons_are_one_mask():
    left, right = [0, 0, 2, 0, 2, 2, 0, 2], [5, 0, 9, 0, 9, 2, 5, 2]
    expected = np.zeros((3, 8))
    expected[:2, [0, 1, 5, 6, 7]] = 1
    np.testing.assert_array_equal(rle.decode(rle.encode_polygons([left, right], (3, 8))), expected)


def test_areas_boxes_and_overlaps_worked_by_hand():
    dot, empty = np.zeros((6, 8)), np.zeros((6, 8))
    dot[2, 3] = 1
    found = rle.encode_masks(np.stack([MASK, dot, empty]))
    assert rle.areas(found).tolist() == [15, 1, 0]
    assert rle.boxes(found).tolist() == [[2, 1, 5, 3], [3, 2, 1, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(rle.overlaps(found[:2], found[:2]), [[1, 1 / 15], [1 / 15, 1]])
    inside = rle.overlaps(found[:2], found[:2], crowds=[True, False])
    np.testing.assert_allclose(inside, [[1, 1 / 15], [1, 1]])


def test_nothing_has_no_area_and_no_overlap():
    found = rle.encode_masks(MASK[None])
    assert rle.areas([]).shape == (0,)
    assert rle.boxes([]).shape == (0, 4)
    assert rle.overlaps([], found).shape == (0, 1)
    assert rle.overlaps(found, []).shape == (1, 0)
    assert rle.encode_labels(np.zeros((0, 3), int)) == {}


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([40, 4], "found an RLE of 44 pixels in all, expected the 48 of 8x6"),
        ([40, 12, -4], "counts are damaged"),
        ([13, 3, 19, 3], "of 38 pixels"),  # starts and lengths
        (text(MASK)["counts"][:-1], "of 40 pixels"),
        (text(MASK)["counts"] + "1", "counts are damaged"),
        (text(np.zeros((60, 80)))["counts"][:-1], "cut or damaged"),  # within a number
        (text(MASK)["counts"] + " ", "cut or damaged"),
        (b"b'" + reference(MASK)["counts"], "damaged"),  # bytes written as text
        ("\u00e9", "cut or damaged"),
        ("oooooooooooo0", "cut or damaged"),
        ("", "of 0 pixels"),
        ([], "of 0 pixels"),
    ],
)
def test_damaged_counts_are_refused_by_name(counts, message):
    form = {"size": [6, 8], "counts": counts}
    for refuse in (rle.checked, rle.decode):
        with pytest.raises(UserError, match=f"a.json: .*{message}"):
            refuse(form, "a.json")


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rle.checked(rle.encode(MASK), "mask")
        rle.decode(found), rle.areas([found]), rle.boxes([found]), rle.overlaps([found], [found])
