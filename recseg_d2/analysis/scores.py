"""Scores of whole images, with what is not certain about their means."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from recseg_d2.analysis.predictions import AnalysisInput, RunPredictions
from recseg_d2.analysis.result import AnalysisResult, Table
from recseg_d2.visualization.plots import grouped_bars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4  # plots side by side


def analyse(data: AnalysisInput) -> AnalysisResult:
    """Scores of label maps as ``recseg evaluate`` has them: means with their standard errors.

    Predictions that overlap are made exclusive first (the higher score wins); classes are not
    looked at.

    Raises:
        MissingResultsError: no data set is registered here.
    """
    rows, notes = data.tabulate(score_rows)
    images, _ = data.tabulate(image_rows)
    tables = {"scores": rows, "scores_of_images": images}
    return AnalysisResult(tables, {"scores": partial(draw_scores, rows)}, notes)


def score_rows(predictions: RunPredictions) -> Table:
    """A row for each metric, shares in 0..100.

    "value" is the mean over the images that define the metric, "standard_error" that of this mean
    (sample standard deviation over the root of "images"). A metric of a whole data set has its one
    number and no standard error.
    """
    scores = predictions.scores
    values, std = scores.results(), scores.statistic("std")
    numbers = [scores.of_image(image) for image in scores.images]
    rows = []
    for one in scores.metrics:
        images = sum(not math.isnan(of_image[one.key]) for of_image in numbers)
        spread = std.get(one.key, math.nan)
        error = spread / math.sqrt(images) if images else math.nan
        row = {"metric": one.key, "value": values[one.key], "standard_error": error, "std": spread}
        rows.append({**row, "images": images, "meaning": one.meaning})
    return rows


def image_rows(predictions: RunPredictions) -> Table:
    """A row for each metric and image."""
    scores = predictions.scores
    return [
        {"image": image, "metric": key, "value": value}
        for image in scores.images
        for key, value in scores.of_image(image).items()
    ]


def draw_scores(rows: Table, figure: Figure) -> None:
    """A plot for each metric, a bar with its standard error for each run."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    columns = min(COLUMNS, len(metrics))
    lines = math.ceil(len(metrics) / columns)
    figure.set_size_inches(3.5 * columns, 3 * lines)
    places = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for axes, metric in zip(places, metrics, strict=False):
        of_metric = [row for row in rows if row["metric"] == metric]
        heights = {row["run"]: [row["value"]] for row in of_metric}
        errors = {row["run"]: [row["standard_error"]] for row in of_metric}
        grouped_bars(axes, [metric], heights, errors)
    for axes in places[len(metrics) :]:
        axes.set_axis_off()
