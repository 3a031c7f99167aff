"""Scores with their standard errors are those of ``recseg evaluate``."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analysis.saved_runs import data, rectangle, save_run, standard_dict

from recseg_d2.analysis import scores
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.errors import UserError
from recseg_d2.metrics import score_image

LEFT, RIGHT, OVER = (0, 0, 10, 10), (0, 20, 10, 40), (0, 5, 10, 20)


@pytest.fixture
def run(register, tmp_path):
    """Two images with objects, and one without that has no prediction either."""
    truth = [standard_dict("a", [(LEFT, 0)]), standard_dict("b", [(LEFT, 0), (RIGHT, 0)])]
    name = register([*truth, standard_dict("c", [])])
    found = {"a": [(LEFT, 0, 0.9), (OVER, 0, 0.8)], "b": [(RIGHT, 0, 0.6)], "c": []}
    return save_run(tmp_path / "run", name, found)


def test_overlaps_go_to_the_higher_score(run):
    rows = scores.analyse(data(run)).tables["scores_of_images"]
    found = {(row["image"], row["metric"]): row["value"] for row in rows}
    prediction = rectangle(LEFT).astype(int)
    prediction[rectangle((0, 10, 10, 20))] = 2
    expected = score_image(prediction, rectangle(LEFT).astype(int))
    assert {key: found["a", key] for key in expected} == expected
    assert math.isnan(found["c", "FGBGDice"])


def test_standard_errors_by_hand(run):
    rows = {row["metric"]: row for row in scores.analyse(data(run)).tables["scores"]}
    # counts are off by +1, -1 and 0
    row = rows["absDiC"]
    assert (row["value"], row["images"]) == (pytest.approx(2 / 3), 3)
    assert row["std"] == pytest.approx(math.sqrt(1 / 3))
    assert row["standard_error"] == pytest.approx(1 / 3)
    # an image that does not define the metric counts nowhere
    row = rows["FGBGDice"]
    a, b = 200 * 100 / (100 + 200), 200 * 200 / (200 + 300)
    assert (row["value"], row["images"]) == (pytest.approx((a + b) / 2), 2)
    assert row["standard_error"] == pytest.approx(np.std([a, b], ddof=1) / math.sqrt(2))


def test_one_number_of_all_images_has_no_standard_error(run):
    rows = {
        row["metric"]: row for row in scores.analyse(data(run, metrics=("pq",))).tables["scores"]
    }
    assert rows["PQ"]["value"] == pytest.approx(100 * 2 / (2 + 0.5 + 0.5))
    assert math.isnan(rows["PQ"]["standard_error"])


def test_without_truth_or_with_an_unknown_metric(tmp_path):
    run = save_run(tmp_path / "run", "not_registered", {"a": []})
    with pytest.raises(MissingResultsError, match="not_registered"):
        scores.analyse(data(run))
    with pytest.raises(UserError, match="found nonsense, expected one or more of"):
        data(run, metrics=("nonsense",))
