"""Quality of masks against the step that found them (RSIS, figure 3b)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from recseg_d2.analysis.errors import diagnoses
from recseg_d2.analysis.report import Report, Table
from recseg_d2.analysis.subjects import Subject, check_order, of_each
from recseg_d2.metrics.binned import BinnedMean
from recseg_d2.metrics.error_diagnosis import TP

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(subjects: Sequence[Subject]) -> Report:
    """IoU, score and share of hits by step.

    The IoU of a prediction is that with the object it overlaps most, whatever its class, and 0
    where it overlaps none. Hits are true positives, so a second mask of an object is none.

    Raises:
        MissingResultsError: no model finds one object after another, or no data set is
            registered here.
    """
    found, notes = of_each(subjects, step_rows)
    rows = [row for _, of_subject in found for row in of_subject]
    return Report({"steps": rows}, {"steps": partial(draw_steps, rows)}, notes)


def step_rows(subject: Subject) -> Table:
    """A row for each step, counted from 1, at which something was found.

    Raises:
        MissingResultsError: there is no order of discovery, or the data set is not registered.
    """
    check_order(subject)
    iou, scores, hits = BinnedMean(), BinnedMean(), BinnedMean()
    for evidence, result in zip(subject.evidence, diagnoses(subject), strict=True):
        steps = evidence.found.steps
        iou.update(steps, evidence.iou.max(axis=1, initial=0.0))
        scores.update(steps, evidence.found.scores)
        hits.update(steps, result.kinds == TP)
    return [
        {
            "run": subject.label,
            "step": int(step) + 1,
            "predictions": int(iou.count[step]),
            "iou": float(iou.mean[step]),
            "iou_std": float(iou.std[step]),
            "hits": float(hits.mean[step]),
            "score": float(scores.mean[step]),
        }
        for step in np.flatnonzero(iou.count)
    ]


def draw_steps(rows: Table, figure: Figure) -> None:
    """Mean IoU with its standard error, and share of hits, a line for each run."""
    figure.set_size_inches(9, 4)
    left, right = figure.subplots(1, 2, sharex=True)
    for run in dict.fromkeys(row["run"] for row in rows):
        of_run = [row for row in rows if row["run"] == run]
        steps = [row["step"] for row in of_run]
        error = [np.nan_to_num(row["iou_std"]) / row["predictions"] ** 0.5 for row in of_run]
        left.errorbar(steps, [row["iou"] for row in of_run], error, marker=".", label=run)
        right.plot(steps, [row["hits"] for row in of_run], marker=".", label=run)
    for axes, name in ((left, "mean IoU"), (right, "share of hits")):
        axes.set_xlabel("step")
        axes.set_ylabel(name)
        axes.set_ylim(0, 1)
        axes.legend()
