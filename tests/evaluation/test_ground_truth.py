from __future__ import annotations

import logging

import numpy as np
import pytest

from recseg_d2.errors import UserError
from recseg_d2.evaluation import GroundTruth


def record(*segmentations, **more):
    annotations = [{"segmentation": s, "category_id": 0, **more} for s in segmentations]
    size = {"height": 6, "width": 8}
    return {"file_name": "x/y.png", "image_id": 1, **size, "annotations": annotations}


def test_label_maps_come_back_with_consecutive_labels(register, truth):
    ground_truth = GroundTruth(register())
    assert len(ground_truth) == 3
    assert np.array_equal(ground_truth.label_map(100), truth["a"])
    assert np.array_equal(ground_truth.label_map(101), truth["b"] > 0)
    assert not ground_truth.label_map(102).any()


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
