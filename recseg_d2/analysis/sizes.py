"""Missed objects and quality of masks against the objects' size (RSIS, figures 3c and 3d)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from recseg_d2.analysis.errors import diagnoses
from recseg_d2.analysis.report import Report, Table, grouped_bars
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.analysis.subjects import Subject, of_each
from recseg_d2.metrics.binned import SIZE_EDGES, BinnedMean, size_bins

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(subjects: Sequence[Subject]) -> Report:
    """False negatives and IoU by the share of the image that an object covers.

    A false negative is an object that no true positive found. The IoU of an object is that with
    the prediction it overlaps most, whatever its class, and 0 where it overlaps none.

    Raises:
        MissingResultsError: no data set is registered here and has an object.
    """
    found, notes = of_each(subjects, size_rows)
    rows = [row for _, of_subject in found for row in of_subject]
    return Report({"sizes": rows}, {"sizes": partial(draw_sizes, rows)}, notes)


def size_rows(subject: Subject) -> Table:
    """A row for each bin of sizes that has an object; sizes in percent of the image.

    Raises:
        MissingResultsError: the data set is not registered here, or has no object.
    """
    if not any(len(evidence.true_areas) for evidence in subject.evidence):
        raise MissingResultsError(f"{subject.label}: no image has a true object.")
    iou, missed = BinnedMean(len(SIZE_EDGES)), BinnedMean(len(SIZE_EDGES))
    for evidence, result in zip(subject.evidence, diagnoses(subject), strict=True):
        height, width = evidence.found.size
        bins = size_bins(evidence.true_areas, height * width)
        iou.update(bins, evidence.iou.max(axis=0, initial=0.0))
        missed.update(bins, ~result.found)
    objects = missed.count
    misses = np.nan_to_num(missed.mean) * objects
    share = misses / misses.sum() if misses.sum() else np.full(len(objects), np.nan)
    return [
        {
            "run": subject.label,
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


def draw_sizes(rows: Table, figure: Figure) -> None:
    """Where the misses are, how many of a size are missed, and the IoU, by size."""
    figure.set_size_inches(13, 4)
    edges = sorted({row["percent_to"] for row in rows})
    runs = list(dict.fromkeys(row["run"] for row in rows))
    titles = {
        "share_of_all_missed": "share of all false negatives",
        "missed_of_bin": "share of the objects of a size that are missed",
        "iou": "mean IoU",
    }
    for axes, (key, title) in zip(figure.subplots(1, len(titles)), titles.items(), strict=True):
        heights = {run: [_at(rows, run, edge, key) for edge in edges] for run in runs}
        grouped_bars(axes, [f"{edge:g}" for edge in edges], heights)
        axes.set_ylim(0, 1)
        axes.set_xlabel("size: up to so many % of the image")
        axes.set_title(title)


def _at(rows: Table, run: str, edge: float, key: str) -> float:
    """The number of a run and a bin; NaN where the run has no such object."""
    found = [row[key] for row in rows if row["run"] == run and row["percent_to"] == edge]
    return found[0] if found else float("nan")
