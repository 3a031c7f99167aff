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
    assert scores.statistic("mean")["SBD"] == pytest.approx(mean)
    assert scores.statistic("std")["SBD"] == pytest.approx(
        math.sqrt(sum((x - mean) ** 2 for x in sbd) / 2)
    )
    assert scores.statistic("mean")["DiC"] == pytest.approx(-1 / 3)
    assert scores.statistic("mean")["absDiC"] == pytest.approx(1 / 3)


def test_undefined_scores_are_left_out():
    scores = three_images()
    assert scores.statistic("mean")["FGBGDice"] == 100.0
    assert scores.statistic("std")["FGBGDice"] == 0.0


def test_one_image_has_no_deviation_and_none_has_no_mean():
    scores = ImageScores(["sbd"])
    assert math.isnan(scores.statistic("mean")["SBD"])
    scores.update("a", TRUTH, TRUTH)
    assert scores.statistic("mean") == {"SBD": 100.0}
    assert math.isnan(scores.statistic("std")["SBD"])


def test_an_image_scored_twice_counts_once():
    scores = ImageScores(["dic"])
    for _ in range(2):
        scores.update("a", MERGED, TRUTH)
    scores.update("b", TRUTH, TRUTH)
    assert scores.statistic("mean")["DiC"] == -0.5


def test_parts_merge_to_the_whole_in_any_order():
    whole = three_images()
    merged = ImageScores(images={k: whole.images[k] for k in ("blank", "merged", "exact")})
    assert merged.results() == whole.results()
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
    rows = scores.rows()
    assert list(rows[0]) == ["metric", "mean", "std", "median", "min", "max"]
    assert [row["metric"] for row in rows] == ["SBD", "DiC", "absDiC", "FGBGDice"]
    assert (rows[0]["median"], rows[0]["min"], rows[0]["max"]) == (pytest.approx(200 / 3), 0, 100)


def test_metrics_of_a_data_set_add_up_over_images():
    """Three exact objects in one image, one of two found and one false in another: PQ by hand."""
    scores = ImageScores(["sbd", "pq"])
    scores.update("a", np.array([[1, 2, 3]]), np.array([[1, 2, 3]]))
    scores.update("b", np.array([[1, 1, 0, 2, 0]]), np.array([[1, 1, 1, 0, 5]]))
    assert scores.of_image("b")["PQ"] == pytest.approx(100 * (2 / 3) / (1 + 1 / 2 + 1 / 2))
    results = scores.results()
    assert results["PQ"] == pytest.approx(100 * (3 + 2 / 3) / (4 + 1 / 2 + 1 / 2))
    assert results["SQ"] == pytest.approx(100 * (3 + 2 / 3) / 4)
    assert results["RQ"] == pytest.approx(100 * 4 / 5)
    summary = scores.summary()
    assert summary["pooled"] == {key: results[key] for key in ("PQ", "SQ", "RQ")}
    assert summary["mean"].keys() == summary["std"].keys() == {"SBD"}
    assert summary["images"]["a"] == {"SBD": 100.0, "PQ": 100.0, "SQ": 100.0, "RQ": 100.0}
    assert scores.rows()[1] == {"metric": "PQ (pooled)", "mean": results["PQ"]}
    assert math.isnan(ImageScores(["pq"]).results()["PQ"])
