from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from benchmarks.peers.scoring import (
    average_precision,
    bootstrap_error,
    choose,
    combinations,
    evaluate,
    read_detections,
    standard_error,
)


def squares(*columns: int) -> np.ndarray:
    """A label map with squares of 4x4 from these columns on, labelled in that order."""
    labels = np.zeros((6, 40), dtype=np.uint16)
    for label, column in enumerate(columns, start=1):
        labels[1:5, column : column + 4] = label
    return labels


def write(folder, scores=None, **label_maps):
    folder.mkdir(parents=True)
    for name, labels in label_maps.items():
        Image.fromarray(labels).save(folder / f"{name}.png")
    if scores is not None:
        (folder / "scores.json").write_text(json.dumps(scores))
    return folder


@pytest.fixture
def truth(tmp_path):
    return write(tmp_path / "truth", a=squares(0, 10), b=squares(20))


def test_ap_by_hand(truth, tmp_path):
    """By descending score: right .9, wrong .8, right .5; one of three objects is missed."""
    scores = {"a": [0.9, 0.8], "b": [0.5]}
    found = write(tmp_path / "found", scores, a=squares(0, 30), b=squares(21))
    images = read_detections(found, truth)
    assert [image.scores.tolist() for image in images] == [[0.9, 0.8], [0.5]]
    assert average_precision(images) == pytest.approx(100 * (1 / 3 + 1 / 3 * 2 / 3))


def test_labels_that_are_missing_in_the_map_have_no_detection(truth, tmp_path):
    labels = squares(0, 10)
    labels[labels == 1] = 0
    scores = {"a": [0.9, 0.4], "b": []}
    found = write(tmp_path / "found", scores, a=labels, b=np.zeros((6, 40), np.uint16))
    images = read_detections(found, truth)
    assert images[0].scores.tolist() == [0.4]
    assert average_precision(images) == pytest.approx(100 / 3)


def test_bootstrap_is_zero_for_equal_images_and_repeats(truth, tmp_path):
    scores = {"a": [0.9, 0.8], "b": [0.5]}
    exact = write(tmp_path / "exact", scores, a=squares(0, 10), b=squares(20))
    assert bootstrap_error(read_detections(exact, truth)) == 0
    half = write(tmp_path / "half", scores, a=squares(0, 10), b=squares(0))
    images = read_detections(half, truth)
    assert bootstrap_error(images) > 5
    assert bootstrap_error(images) == bootstrap_error(images)


def test_standard_error_by_hand():
    assert standard_error([1.0, 3.0]) == pytest.approx(1.0)
    assert standard_error([2.0, 4.0, 4.0, 6.0]) == pytest.approx(math.sqrt(8 / 3) / 2)
    assert math.isnan(standard_error([1.0]))


def test_combinations():
    assert combinations({}) == [{}]
    assert combinations({"score": (0.1, 0.2), "nms": (0.5,)}) == [
        {"score": 0.1, "nms": 0.5},
        {"score": 0.2, "nms": 0.5},
    ]


def test_the_best_settings_are_chosen_by_sbd_and_count(truth, tmp_path):
    write(tmp_path / "tuned" / "0", a=squares(0, 10, 30), b=squares(20))
    write(tmp_path / "tuned" / "1", a=squares(0, 10), b=squares(20))
    write(tmp_path / "tuned" / "2", a=squares(0), b=squares(20))
    settings = [{"score": 0.1}, {"score": 0.5}, {"score": 0.9}]
    best, value = choose(tmp_path / "tuned", truth, settings)
    assert best == {"score": 0.5}
    assert value == 100
    (tmp_path / "tuned" / "1").rename(tmp_path / "tuned" / "9")
    (tmp_path / "tuned" / "2").rename(tmp_path / "tuned" / "1")
    _, value = choose(tmp_path / "tuned", truth, settings[:2])
    assert value == pytest.approx((200 / 3 + 100) / 2 - 0.5)


def test_counts_are_of_one_folder_and_ap_of_the_other(truth, tmp_path):
    few = write(tmp_path / "few", a=squares(0), b=squares(20))
    scores = {"a": [0.9, 0.3], "b": [0.8]}
    many = write(tmp_path / "many", scores, a=squares(0, 10), b=squares(20))
    result = evaluate(few, many, truth)
    assert result["images"]["a"] == {"SBD": 50, "DiC": -1, "absDiC": 1}
    assert result["images"]["b"] == {"SBD": 100, "DiC": 0, "absDiC": 0}
    assert result["AP50"] == 100
    assert result["AP50_error"] == 0
