from __future__ import annotations

import json
import math

import numpy as np
import pytest

from recseg_d2.files import save_scores
from recseg_d2.metrics import ImageScores

TRUTH = np.array([[1, 1, 2, 2, 0, 0]])
MERGED = np.array([[1, 1, 1, 1, 0, 0]])
NOTHING = np.zeros_like(TRUTH)


def three_images() -> ImageScores:
    scores = ImageScores()
    scores.update("exact", TRUTH, TRUTH)
    scores.update("merged", MERGED, TRUTH)
    scores.update("blank", NOTHING, NOTHING)
    return scores


def test_mean_and_sample_deviation_by_hand():
    scores = three_images()
    sbd = [100.0, 200 / 3, 0.0]
    mean = sum(sbd) / 3
    assert scores.mean()["SBD"] == pytest.approx(mean)
    assert scores.std()["SBD"] == pytest.approx(math.sqrt(sum((x - mean) ** 2 for x in sbd) / 2))
    assert scores.mean()["DiC"] == pytest.approx(-1 / 3)
    assert scores.mean()["absDiC"] == pytest.approx(1 / 3)


def test_undefined_scores_are_left_out():
    scores = three_images()
    assert scores.mean()["FGBGDice"] == 100.0
    assert scores.std()["FGBGDice"] == 0.0


def test_one_image_has_no_deviation_and_none_has_no_mean():
    scores = ImageScores(["sbd"])
    assert math.isnan(scores.mean()["SBD"])
    scores.update("a", TRUTH, TRUTH)
    assert scores.mean() == {"SBD": 100.0}
    assert math.isnan(scores.std()["SBD"])


def test_an_image_scored_twice_counts_once():
    scores = ImageScores(["dic"])
    for _ in range(2):
        scores.update("a", MERGED, TRUTH)
    scores.update("b", TRUTH, TRUTH)
    assert scores.mean()["DiC"] == -0.5


def test_parts_merge_to_the_whole_in_any_order():
    whole, merged = three_images(), ImageScores()
    for names in (["blank"], ["merged", "exact"]):
        merged.merge({name: whole.images[name] for name in names})
    assert merged.mean() == whole.mean()
    assert list(merged.summary()["images"]) == ["blank", "exact", "merged"]


def test_saved_json_has_null_for_nan(tmp_path):
    path = tmp_path / "new" / "scores.json"
    save_scores(path, three_images().summary())
    saved = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert saved.keys() == {"images", "mean", "std"}
    assert saved["images"]["blank"] == {"SBD": 0.0, "DiC": 0, "absDiC": 0, "FGBGDice": None}
    assert saved["images"]["merged"]["DiC"] == -1
    assert saved["mean"]["FGBGDice"] == 100.0


def test_table():
    scores = three_images()
    assert scores.columns() == ["metric", "mean", "std", "median", "min", "max"]
    assert [row[0] for row in scores.rows()] == ["SBD", "DiC", "absDiC", "FGBGDice"]
    assert scores.rows()[0][3:] == pytest.approx([200 / 3, 0.0, 100.0])
