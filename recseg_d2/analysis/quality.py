"""Quality of masks against the objects' size and the step that found them (RSIS, figures 3b to 3d).

The IoU of a prediction, or of an object, is that with the one on the other side that it overlaps
most, whatever its class, and 0 where it overlaps none. An object is missed if no true positive
found it; a prediction is a hit if it is a true positive, so a second mask of an object is none.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from recseg_d2.analysis.predictions import AnalysisInput, RunPredictions
from recseg_d2.analysis.result import AnalysisResult, Table, by_run
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.metrics.binned import SIZE_EDGES, BinnedMean, size_bins
from recseg_d2.metrics.error_diagnosis import TP
from recseg_d2.visualization.plots import grouped_bars

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def by_size(data: AnalysisInput) -> AnalysisResult:
    """False negatives and IoU by the share of the image that an object covers.

    Raises:
        MissingResultsError: no data set is registered here and has an object.
    """
    rows, notes = data.tabulate(size_rows)
    return AnalysisResult({"sizes": rows}, {"sizes": partial(draw_sizes, rows)}, notes)


def by_step(data: AnalysisInput) -> AnalysisResult:
    """IoU, score and share of hits by step.

    Raises:
        MissingResultsError: no model finds one object after another, or no data set is
            registered here.
    """
    rows, notes = data.tabulate(step_rows)
    return AnalysisResult({"steps": rows}, {"steps": partial(draw_steps, rows)}, notes)


def size_rows(predictions: RunPredictions) -> Table:
    """A row for each bin of sizes that has an object; sizes in percent of the image.

    Raises:
        MissingResultsError: the data set is not registered here, or has no object.
    """
    if not any(len(evidence.true_areas) for evidence in predictions.evidence):
        raise MissingResultsError(f"{predictions.label}: no image has a true object.")
    iou, missed = BinnedMean(len(SIZE_EDGES)), BinnedMean(len(SIZE_EDGES))
    for evidence, result in zip(predictions.evidence, predictions.diagnoses, strict=True):
        height, width = evidence.found.size
        bins = size_bins(evidence.true_areas, height * width)
        iou.update(bins, evidence.iou.max(axis=0, initial=0.0))
        missed.update(bins, ~result.found)
    objects = missed.count
    misses = np.nan_to_num(missed.mean) * objects
    share = misses / misses.sum() if misses.sum() else np.full(len(objects), np.nan)
    return [
        {
            "percent_from": float(SIZE_EDGES[i - 1]) if i else 0.0,
            "percent_to": float(SIZE_EDGES[i]),
            "objects": int(objects[i]),
            "missed": round(misses[i]),
            "missed_of_bin": float(missed.mean[i]),
            "share_of_all_missed": float(share[i]),
            "iou": float(iou.mean[i]),
            "iou_std": float(iou.std[i]),
        }
        for i in np.flatnonzero(objects)
    ]


def step_rows(predictions: RunPredictions) -> Table:
    """A row for each step, counted from 1, at which something was found.

    Raises:
        MissingResultsError: there is no order of discovery, or the data set is not registered.
    """
    predictions.check_order()
    iou, scores, hits = BinnedMean(), BinnedMean(), BinnedMean()
    for evidence, result in zip(predictions.evidence, predictions.diagnoses, strict=True):
        steps = evidence.found.steps
        iou.update(steps, evidence.iou.max(axis=1, initial=0.0))
        scores.update(steps, evidence.found.scores)
        hits.update(steps, result.kinds == TP)
    return [
        {
            "step": int(step) + 1,
            "predictions": int(iou.count[step]),
            "iou": float(iou.mean[step]),
            "iou_std": float(iou.std[step]),
            "hits": float(hits.mean[step]),
            "score": float(scores.mean[step]),
        }
        for step in np.flatnonzero(iou.count)
    ]


def draw_sizes(rows: Table, figure: Figure) -> None:
    """Where the misses are, how many of a size are missed, and the IoU, by size."""
    figure.set_size_inches(13, 4)
    edges = sorted({row["percent_to"] for row in rows})
    titles = {
        "share_of_all_missed": "share of all false negatives",
        "missed_of_bin": "share of the objects of a size that are missed",
        "iou": "mean IoU",
    }
    for axes, (key, title) in zip(figure.subplots(1, len(titles)), titles.items(), strict=True):
        heights = {}
        for run, of_run in by_run(rows).items():
            at = {row["percent_to"]: row[key] for row in of_run}
            heights[run] = [at.get(edge, np.nan) for edge in edges]
        grouped_bars(axes, [f"{edge:g}" for edge in edges], heights)
        axes.set_ylim(0, 1)
        axes.set_xlabel("size: up to so many % of the image")
        axes.set_title(title)


def draw_steps(rows: Table, figure: Figure) -> None:
    """Mean IoU with its standard error, and share of hits, a line for each run."""
    figure.set_size_inches(9, 4)
    left, right = figure.subplots(1, 2, sharex=True)
    for run, of_run in by_run(rows).items():
        steps = [row["step"] for row in of_run]
        error = [np.nan_to_num(row["iou_std"]) / row["predictions"] ** 0.5 for row in of_run]
        left.errorbar(steps, [row["iou"] for row in of_run], error, marker=".", label=run)
        right.plot(steps, [row["hits"] for row in of_run], marker=".", label=run)
    for axes, name in ((left, "mean IoU"), (right, "share of hits")):
        axes.set_xlabel("step")
        axes.set_ylabel(name)
        axes.set_ylim(0, 1)
        axes.legend()
