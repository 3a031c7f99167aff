from __future__ import annotations

import json

import numpy as np
import pytest
from detectron2.structures import BoxMode
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from pycocotools import mask as coco_mask

from recseg_d2 import rle
from recseg_d2.data.annotations import (
    check_segmentation,
    count_objects,
    decode_segmentation,
    label_areas,
    label_map_from_dict,
    label_map_to_annotations,
    pack_label_planes,
    segmentation_to_rle,
    unpack_label_planes,
    wrong_category,
)
from recseg_d2.errors import UserError

SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=60, deadline=None)
@given(nps.arrays(np.int32, SIDES, elements=st.integers(0, 4)))
def test_rles_equal_those_of_pycocotools(labels):
    annotations = label_map_to_annotations(labels)
    values = [v for v in np.unique(labels) if v > 0]
    assert len(annotations) == len(values)
    for value, annotation in zip(values, annotations, strict=True):
        mask = np.asfortranarray(labels == value).astype(np.uint8)
        expected = coco_mask.encode(mask)
        assert annotation["segmentation"]["counts"] == expected["counts"].decode()
        assert annotation["segmentation"]["size"] == list(labels.shape)
        assert annotation["bbox"] == list(coco_mask.toBbox(expected))


def test_annotation_by_hand():
    labels = np.array([[0, 0, 0, 0], [0, 300, 300, 0], [0, 0, 300, 7]])
    seven, big = label_map_to_annotations(labels)
    assert seven["bbox"] == [3, 2, 1, 1]
    assert big["bbox"] == [1, 1, 2, 2]
    assert big["bbox_mode"] == BoxMode.XYWH_ABS
    assert (big["category_id"], big["iscrowd"]) == (0, 0)
    np.testing.assert_array_equal(coco_mask.decode(big["segmentation"]), labels == 300)
    json.dumps(big["segmentation"])


def test_crowds_are_marked():
    labels = np.array([[1, 1, 0], [2, 3, 3]])
    annotations = label_map_to_annotations(labels, {1: 4, 3: 5}, crowds={1, 2})
    assert [(a["category_id"], a["iscrowd"]) for a in annotations] == [(4, 1), (5, 0)]


def test_no_object_gives_no_annotation():
    assert label_map_to_annotations(np.zeros((3, 4), int)) == []


def test_classes_are_taken_from_the_table_and_others_left_out():
    labels = np.array([[1, 2, 3]])
    annotations = label_map_to_annotations(labels, {1: 4, 3: 0})
    assert [a["category_id"] for a in annotations] == [4, 0]


def test_every_form_of_a_segmentation_gives_the_same_mask():
    mask = np.zeros((6, 8), np.uint8)
    mask[1:4, 2:7] = 1
    compressed = coco_mask.encode(np.asfortranarray(mask))
    runs = [13, 3, 3, 3, 3, 3, 3, 3, 3, 3, 8]  # down the columns
    polygon = [2.0, 1.0, 7.0, 1.0, 7.0, 4.0, 2.0, 4.0]
    forms = [
        mask,
        mask.astype(bool),
        compressed,
        {"size": [6, 8], "counts": compressed["counts"].decode()},
        {"size": [6, 8], "counts": runs},
        [polygon],
        [np.array(polygon).reshape(-1, 2)],
    ]
    for form in forms:
        decoded = decode_segmentation(form, (6, 8), "a.png")
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded, mask)


def test_categories_are_whole_numbers_in_range():
    assert all(wrong_category(c, 3) is None for c in (0, 2, np.int64(1)))
    for category in (-1, 3, 1.0, "1", None):
        expected = f"found category_id {category!r}, expected 0 to 2."
        assert wrong_category(category, 3) == expected


def test_objects_are_counted_without_crowds():
    annotations = [{"iscrowd": 0}, {"iscrowd": 1}, {}]
    assert count_objects({"annotations": annotations}) == 2
    assert count_objects({}) == 0


def test_a_check_finds_what_decoding_would_refuse():
    mask = np.zeros((6, 8), np.uint8)
    for good in (mask, rle.encode(mask), [[2.0, 1.0, 7.0, 1.0, 7.0, 4.0]]):
        check_segmentation(good, (6, 8), "a.png")
    cut = {"size": [6, 8], "counts": [40, 4]}
    for bad in (mask[:5], cut, {"size": [6, 8]}, [[1.0, 2.0, 3.0, 4.0]], [], None):
        for refuse in (check_segmentation, decode_segmentation, segmentation_to_rle):
            with pytest.raises(UserError, match=r"^a\.png: "):
                refuse(bad, (6, 8), "a.png")


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "its segmentation is None"),
        ("polygon", "whose segmentation is 'str'"),
        ([], "boxes alone cannot train masks"),
        ([[0.0, 0.0, 1.0, 1.0]], "at least 3 points"),
        ([[0.0, 0.0, 1.0, 1.0, 4.0, 4.0, 3.0]], "polygon of 7 numbers"),
        ([[4, 1, 4], [7, 1], [7, 4], [4, 4]], "at least 3 points"),
        (np.zeros((5, 8)), "mask of 8x5 pixels.*8x6"),
    ],
)
def test_unusable_segmentations_are_refused(segmentation, message):
    with pytest.raises(UserError, match=rf"a\.png.*{message}"):
        decode_segmentation(segmentation, (6, 8), "a.png")


@settings(max_examples=60, deadline=None)
@given(nps.arrays(bool, st.tuples(st.integers(0, 6), st.integers(1, 5), st.integers(1, 5))))
def test_packing_keeps_every_mask(masks):
    planes, plane, value = pack_label_planes(masks, masks.shape[1:])
    np.testing.assert_array_equal(unpack_label_planes(planes, plane, value), masks)
    np.testing.assert_array_equal(label_areas(planes, plane, value), masks.sum(axis=(1, 2)))


def test_one_plane_is_enough_without_overlap_and_overlap_takes_another():
    apart = np.eye(4, dtype=bool)[:, None]
    assert pack_label_planes(apart, (1, 4))[0].shape == (1, 1, 4)
    assert pack_label_planes(np.concatenate([apart, apart[:1]]), (1, 4))[0].shape == (2, 1, 4)


def test_more_objects_than_eight_bits_take_another_plane():
    masks = np.eye(300, dtype=bool)[:, None]
    planes, plane, value = pack_label_planes(masks, masks.shape[1:])
    assert planes.shape == (2, 1, 300)
    np.testing.assert_array_equal(unpack_label_planes(planes, plane, value), masks)


def test_every_form_of_a_segmentation_gives_the_same_rle():
    mask = np.zeros((6, 8), np.uint8)
    mask[1:4, 2:7] = 1
    compressed = coco_mask.encode(np.asfortranarray(mask))
    polygon = [2.0, 1.0, 7.0, 1.0, 7.0, 4.0, 2.0, 4.0]
    runs = [13, 3, 3, 3, 3, 3, 3, 3, 3, 3, 8]
    for form in (mask, mask > 0, compressed, {"size": [6, 8], "counts": runs}, [polygon]):
        assert segmentation_to_rle(form, (6, 8), "a.png")["counts"] == compressed["counts"].decode()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (np.zeros((5, 8)), "a.png: found a mask of 8x5 pixels, expected the image's 8x6"),
        (
            {"size": [8, 6], "counts": [48]},
            r"found an RLE of size .8, 6., which is .width, height.",
        ),
        ({"size": [6, 8], "counts": [40, 4]}, "found an RLE of 44 pixels in all, expected the 48"),
        (None, "its segmentation is None"),
    ],
)
def test_rles_that_do_not_fit_are_refused(form, expected):
    with pytest.raises(UserError, match=expected):
        segmentation_to_rle(form, (6, 8), "a.png")


SQUARE = [1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0]  # pixels 1..4 both ways


def record(*segmentations, **more):
    annotations = [{"segmentation": s, "category_id": 0, **more} for s in segmentations]
    size = {"height": 6, "width": 8}
    return {"file_name": "x/y.png", "image_id": 1, **size, "annotations": annotations}


def mask(rows: slice, columns: slice) -> np.ndarray:
    out = np.zeros((6, 8), dtype=bool)
    out[rows, columns] = True
    return out


def test_polygons_and_masks():
    labels = label_map_from_dict(record([SQUARE], mask(slice(0, 1), slice(7, 8))))
    assert labels.dtype == np.int32
    assert np.array_equal(labels == 1, mask(slice(1, 5), slice(1, 5)))
    assert np.array_equal(labels == 2, mask(slice(0, 1), slice(7, 8)))


def test_a_small_object_is_not_lost_under_a_large_one():
    small, large = mask(slice(2, 3), slice(2, 4)), mask(slice(0, 5), slice(0, 6))
    for order in ((small, large), (large, small)):
        labels = label_map_from_dict(record(*order))
        assert np.bincount(labels.ravel())[1:].tolist() == [28, 2]


def test_crowd_regions_are_no_objects():
    assert not label_map_from_dict(record(mask(slice(0, 2), slice(0, 2)), iscrowd=1)).any()


def test_image_without_annotations_key():
    assert not label_map_from_dict({"file_name": "a", "height": 2, "width": 3}).any()


def test_wrong_size_is_refused_by_file():
    with pytest.raises(UserError, match=r"x/y.png"):
        label_map_from_dict(record(np.ones((3, 3), dtype=bool)))
