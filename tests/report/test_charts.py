"""Charts hold the values of their tables."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("plotly", reason="needs plotly (extra: report)")

from recseg_d2.report.charts import CHARTS, figures_of
from recseg_d2.report.style import run_color


def title(figure):
    return figure["layout"]["title"]["text"]


def test_bars_with_standard_errors_in_the_colours_of_their_runs():
    rows = [
        {"run": run, "sorting": "r2l", "tau": tau, "std": 0.4, "images": 4}
        for run, tau in (("b", 0.5), ("a", 0.25))
    ]
    (figure,) = figures_of("ordering_tau", rows, ["a", "b"])
    b, a = figure["data"]
    assert (b["type"], b["name"], b["x"], b["y"]) == ("bar", "b", ["r2l"], [0.5])
    assert b["error_y"]["array"] == [pytest.approx(0.2)]
    assert (a["marker"]["color"], b["marker"]["color"]) == (run_color(0), run_color(1))


def test_validation_stands_dashed_beside_training():
    points = [
        ("loss_a", 0, 1.0),
        ("loss_a", 9, 0.5),
        ("val_loss/a", 0, 2.0),
        ("val_loss/a", 9, 1.5),
    ]
    points.append(("score/AP", 9, 40.0))
    rows = [{"run": "r", "key": k, "iteration": i, "value": v} for k, i, v in points]
    losses, score = figures_of("curves", rows, ["r"])
    assert (title(losses), title(score)) == ("loss_a by iteration", "score/AP by iteration")
    training, validation = losses["data"]
    assert (training["y"], validation["y"]) == ([1.0, 0.5], [2.0, 1.5])
    assert (training["line"]["dash"], validation["line"]["dash"]) == ("solid", "dot")
    assert training["line"]["color"] == validation["line"]["color"]
    assert score["data"][0]["mode"] == "markers"  # a line of one point cannot be seen


def test_kinds_of_false_positives_are_bars():
    row = {"run": "r", "Loc": 0.5, "Bg": 0.5, "Dup": 0.0, "Cls": 0.0, "Loc+Cls": 0.0}
    (figure,) = figures_of("errors_false_positives", [row], ["r"])
    assert dict(zip(figure["data"][0]["x"], figure["data"][0]["y"], strict=True))["Bg"] == 0.5


def test_what_is_not_defined_is_null():
    rows = [{"run": "r", "image": "x", "metric": "FGBGDice", "value": math.nan}]
    (figure,) = figures_of("scores_of_images", rows, ["r"])
    assert figure["data"][0]["y"] == [None]


def test_names_are_escaped_for_plotly():
    rows = [{"run": "<b>r", "image": "<i>", "metric": "<u>", "value": 1.0}]
    (figure,) = figures_of("scores_of_images", rows, ["<b>r"])
    (box,) = figure["data"]
    assert (box["name"], box["text"], title(figure)) == (
        "&lt;b&gt;r",
        ["&lt;i&gt;"],
        "&lt;u&gt; of each image",
    )


def test_tables_without_a_chart_have_none():
    assert "errors_kinds" not in CHARTS
    assert figures_of("errors_kinds", [{"run": "r"}], ["r"]) == []
