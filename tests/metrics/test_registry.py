from __future__ import annotations

import math

import numpy as np
import pytest

from recseg_d2.errors import UserError
from recseg_d2.metrics import METRICS, metric_keys, score_image


def test_scores_in_percent(two_exact_and_four_extra):
    scores = score_image(*two_exact_and_four_extra)
    assert scores["SBD"] == pytest.approx(100 / 3)
    assert (scores["DiC"], scores["absDiC"]) == (4, 4)
    assert scores["FGBGDice"] == pytest.approx(100 * 2 * 8 / (12 + 8))


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_gives_its_keys_only(name, two_exact_and_four_extra):
    assert tuple(score_image(*two_exact_and_four_extra, [name])) == METRICS[name].keys


def test_default_is_the_leaf_challenge(two_exact_and_four_extra):
    assert list(score_image(*two_exact_and_four_extra)) == ["SBD", "DiC", "absDiC", "FGBGDice"]


def test_all_by_hand(two_exact_and_four_extra):
    """Two objects of four pixels found exactly, and four predictions of one pixel on background."""
    assert score_image(*two_exact_and_four_extra, METRICS) == {
        "SBD": pytest.approx(100 / 3),
        "DiC": 4,
        "absDiC": 4,
        "FGBGDice": pytest.approx(80.0),
        "MWCov": 100.0,
        "MUCov": 100.0,
        "AvgFP": 4,
        "AvgFN": 0,
        "CountAcc": 0.0,
        "CountMSE": 16,
        "ObjPrecision": pytest.approx(100 / 3),
        "ObjRecall": 100.0,
        "PixPrecision": pytest.approx(100 * 8 / 12),
        "PixRecall": 100.0,
        "LegacySBD": 100.0,
    }


def test_nothing_on_either_side_of_all():
    empty = np.zeros((2, 2), int)
    scores = score_image(empty, empty, METRICS)
    undefined = {key for key, value in scores.items() if math.isnan(value)}
    ratios = {"ObjPrecision", "ObjRecall", "PixPrecision", "PixRecall"}
    assert undefined == {"FGBGDice", "MWCov", "MUCov"} | ratios
    assert (scores["AvgFP"], scores["AvgFN"], scores["CountAcc"]) == (0, 0, 100.0)


def test_nothing_on_either_side():
    empty = np.zeros((2, 2), int)
    scores = score_image(empty, empty)
    assert (scores["SBD"], scores["DiC"], scores["absDiC"]) == (0.0, 0, 0)
    assert math.isnan(scores["FGBGDice"])


def test_keys_are_in_the_order_asked_for_and_once():
    assert metric_keys(["dic", "sbd", "dic"]) == ("DiC", "absDiC", "SBD")


@pytest.mark.parametrize("names", [["sbd", "ap"], []])
def test_unknown_or_no_metric_is_refused(names):
    with pytest.raises(UserError, match="expected one or more of sbd, dic, fgbg"):
        metric_keys(names)
