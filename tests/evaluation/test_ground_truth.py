from __future__ import annotations

import logging

import numpy as np
import pytest

from recseg_d2.errors import UserError
from recseg_d2.evaluation import GroundTruth, label_map_from_dict

SQUARE = [1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0]  # pixels 1..4 both ways


def record(*segmentations, **more):
    annotations = [{"segmentation": s, "category_id": 0, **more} for s in segmentations]
    size = {"height": 6, "width": 8}
    return {"file_name": "x/y.png", "image_id": 1, **size, "annotations": annotations}


def mask(rows: slice, columns: slice) -> np.ndarray:
    out = np.zeros((6, 8), dtype=bool)
    out[rows, columns] = True
    return out


def test_label_maps_come_back_with_consecutive_labels(register, truth):
    ground_truth = GroundTruth(register())
    assert len(ground_truth) == 3
    assert np.array_equal(ground_truth.label_map(100), truth["a"])
    assert np.array_equal(ground_truth.label_map(101), truth["b"] > 0)
    assert not ground_truth.label_map(102).any()


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


def test_a_set_without_any_annotation_is_warned_of(register, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("recseg_d2"), "propagate", True)
    bare = record()
    del bare["annotations"]
    name = register([bare])
    assert not GroundTruth(name).label_map(1).any()
    assert f"{name}: no image is annotated" in caplog.text
    caplog.clear()
    GroundTruth(register([record()]))
    assert not caplog.text


def test_wrong_size_is_refused_by_file():
    with pytest.raises(UserError, match=r"x/y.png"):
        label_map_from_dict(record(np.ones((3, 3), dtype=bool)))


def test_repeated_stems_are_told_apart_by_image_id(register):
    first, second, third = (record() | {"image_id": i} for i in range(3))
    first["file_name"], second["file_name"], third["file_name"] = "p/1.png", "q/1.png", "q/2.png"
    ground_truth = GroundTruth(register([first, second, third]))
    assert [ground_truth.key(i) for i in range(3)] == ["0", "1", "2"]


def test_repeated_image_id_is_refused(register):
    with pytest.raises(UserError, match="image_id 1 occurs twice"):
        GroundTruth(register([record(), record()]))


def test_empty_data_set_is_refused(register):
    with pytest.raises(UserError, match="no image"):
        GroundTruth(register([]))


def test_unknown_image_is_refused(register):
    with pytest.raises(UserError, match="image_id 'nope'"):
        GroundTruth(register()).label_map("nope")
