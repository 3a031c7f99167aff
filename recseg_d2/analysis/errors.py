"""What the false positives are (RSIS, figure 3a)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from recseg_d2.analysis.predictions import AnalysisInput, RunPredictions
from recseg_d2.analysis.result import AnalysisResult, Table
from recseg_d2.metrics.error_diagnosis import FALSE_POSITIVES, KINDS, TP, ErrorCounts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL = "all"
MIN_LABELLED = 0.04  # shares of a bar too narrow for their number stay without one


def analyse(data: AnalysisInput) -> AnalysisResult:
    """Kinds of predictions, and missed objects, of all classes together and of each.

    Every prediction from ``AnalysisOptions.min_score`` on counts; see ``metrics.error_diagnosis``.

    Raises:
        MissingResultsError: no data set is registered here.
    """
    kinds, notes = data.tabulate(kind_rows)
    shares, _ = data.tabulate(lambda p: [error_counts(p).false_positive_shares()])
    tables = {"errors_kinds": kinds, "errors_false_positives": shares}
    return AnalysisResult(tables, {"errors_false_positives": partial(draw_shares, shares)}, notes)


def error_counts(predictions: RunPredictions) -> ErrorCounts:
    """Sums over the images of a run."""
    counts = ErrorCounts(len(predictions.classes))
    for evidence, result in zip(predictions.evidence, predictions.diagnoses, strict=True):
        counts.update(result, evidence.found.classes, evidence.true_classes)
    return counts


def kind_rows(predictions: RunPredictions) -> Table:
    """A row for all classes together, then one for each class that occurs."""
    counts = error_counts(predictions)
    names = [ALL, *predictions.classes]
    kinds = np.vstack([counts.kinds.sum(axis=0), counts.kinds])
    objects = [counts.objects.sum(), *counts.objects]
    missed = [counts.missed.sum(), *counts.missed]
    return [
        {
            "class": names[i],
            **dict(zip(KINDS, kinds[i].tolist(), strict=True)),
            "objects": int(objects[i]),
            "missed": int(missed[i]),
            "recall": _share(kinds[i, TP], objects[i]),
            "precision": _share(kinds[i, TP], kinds[i, : len(KINDS) - 1].sum()),
        }
        for i in range(len(names))
        if i == 0 or kinds[i].any() or objects[i]
    ]


def draw_shares(rows: Table, figure: Figure) -> None:
    """A bar for each run, cut into the kinds of false positives."""
    figure.set_size_inches(8, 1.8 + 0.5 * len(rows))
    axes = figure.subplots()
    start = np.zeros(len(rows))
    for kind in FALSE_POSITIVES:
        shares = np.nan_to_num(np.array([row[kind] for row in rows], dtype=float))
        axes.barh([row["run"] for row in rows], shares, left=start, label=kind)
        for y, (left, share) in enumerate(zip(start, shares, strict=True)):
            if share >= MIN_LABELLED:
                axes.text(left + share / 2, y, f"{100 * share:.0f}%", ha="center", va="center")
        start += shares
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of false positives")
    figure.legend(loc="outside upper center", ncols=len(FALSE_POSITIVES))


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else float("nan")
