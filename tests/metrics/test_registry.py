from __future__ import annotations

import inspect
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recseg_d2.errors import UserError
from recseg_d2.metrics import METRICS, score_image, select_metrics
from recseg_d2.metrics.registry import SHARE


def test_scores_in_percent(two_exact_and_four_extra):
    scores = score_image(*two_exact_and_four_extra)
    assert scores["SBD"] == pytest.approx(100 / 3)
    assert (scores["DiC"], scores["absDiC"]) == (4, 4)
    assert scores["FGBGDice"] == pytest.approx(100 * 2 * 8 / (12 + 8))


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_gives_its_keys_only(name, two_exact_and_four_extra):
    assert tuple(score_image(*two_exact_and_four_extra, [name])) == tuple(
        one.key for one in METRICS[name]
    )


def test_default_is_the_leaf_challenge(two_exact_and_four_extra):
    assert list(score_image(*two_exact_and_four_extra)) == ["SBD", "DiC", "absDiC", "FGBGDice"]


def test_all_by_hand(two_exact_and_four_extra):
    """Two objects of four pixels found exactly, and four predictions of one pixel on background."""
    assert score_image(*two_exact_and_four_extra, METRICS) == {
        "PQ": pytest.approx(100 * 2 / (2 + 4 / 2)),
        "SQ": 100.0,
        "RQ": pytest.approx(50.0),
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
        "ObjPrecisionPooled": pytest.approx(100 / 3),
        "ObjRecallPooled": 100.0,
        "PixPrecisionPooled": pytest.approx(100 * 8 / 12),
        "PixRecallPooled": 100.0,
        "PixPrecision": pytest.approx(100 * 8 / 12),
        "PixRecall": 100.0,
        "LegacySBD": 100.0,
    }


def test_nothing_on_either_side_of_all():
    empty = np.zeros((2, 2), int)
    scores = score_image(empty, empty, METRICS)
    undefined = {key for key, value in scores.items() if math.isnan(value)}
    ratios = {"ObjPrecision", "ObjRecall", "PixPrecision", "PixRecall"}
    ratios |= {f"{key}Pooled" for key in ratios}
    assert undefined == {"FGBGDice", "MWCov", "MUCov", "PQ", "SQ", "RQ"} | ratios
    assert (scores["AvgFP"], scores["AvgFN"], scores["CountAcc"]) == (0, 0, 100.0)


def test_nothing_on_either_side():
    empty = np.zeros((2, 2), int)
    scores = score_image(empty, empty)
    assert (scores["SBD"], scores["DiC"], scores["absDiC"]) == (0.0, 0, 0)
    assert math.isnan(scores["FGBGDice"])


def test_keys_are_in_the_order_asked_for_and_once():
    found = select_metrics(["dic", "sbd", "dic"])
    assert [one.key for one in found] == ["DiC", "absDiC", "SBD"]


@pytest.mark.parametrize("names", [["sbd", "ap"], []])
def test_unknown_or_no_metric_is_refused(names):
    with pytest.raises(UserError, match="expected one or more of dic, countacc"):
        select_metrics(names)


ALL = [one for group in METRICS.values() for one in group]
LABELS = arrays(np.int32, (4, 5), elements=st.sampled_from([0, 0, 1, 2, 70]))


@given(LABELS, LABELS)
def test_numbers_are_within_their_limits_and_best_for_equal_maps(prediction, truth):
    for found in (prediction, truth):
        scores = score_image(found, truth, METRICS)
        for one in ALL:
            scale = 100 if one.limits == SHARE else 1
            low, high = (scale * limit for limit in one.limits)
            assert math.isnan(scores[one.key]) or low <= scores[one.key] <= high
    best = {True: 100.0, False: 0.0, None: 0.0}
    for one in ALL:
        if truth.any():
            assert scores[one.key] == pytest.approx(best[one.higher_is_better])


@pytest.mark.parametrize(
    "one", [m for group in METRICS.values() for m in group], ids=lambda m: m.key
)
def test_each_docstring_has_a_summary_and_the_empty_cases(one):
    text = inspect.getdoc(one.function)
    assert re.search(r"NaN|empty|\b0 (if|where)|negative|nothing|exact|mean squared", text), text
    assert one.summary == text.partition("\n")[0]
    assert one.summary.endswith(".")


def test_range_and_direction_are_in_words():
    assert METRICS["sbd"][0].meaning == "0 to 100, higher is better"
    assert [one.meaning for one in METRICS["dic"]] == [
        "-inf to inf, best at 0",
        "0 to inf, lower is better",
    ]
