"""What the false positives are (RSIS, figure 3a)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from recseg_d2.analysis.report import Report, Table
from recseg_d2.analysis.subjects import Subject, of_each
from recseg_d2.metrics.error_diagnosis import (
    FALSE_POSITIVES,
    KINDS,
    TP,
    Diagnosis,
    ErrorCounts,
    diagnose,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL = "all"
MIN_LABELLED = 0.04  # shares of a bar too narrow for their number stay without one


def analyse(subjects: Sequence[Subject]) -> Report:
    """Kinds of predictions, and missed objects, of all classes together and of each.

    Every prediction from ``Options.min_score`` on counts; see ``metrics.error_diagnosis``.

    Raises:
        MissingResultsError: no data set is registered here.
    """
    counts, notes = of_each(subjects, error_counts)
    kinds = [row for subject, c in counts for row in kind_rows(subject, c)]
    shares = [{"run": subject.label, **c.false_positive_shares()} for subject, c in counts]
    report = Report({"errors_kinds": kinds, "errors_false_positives": shares}, notes=notes)
    report.plots["errors_false_positives"] = partial(draw_shares, shares)
    return report


def diagnoses(subject: Subject) -> list[Diagnosis]:
    """The diagnosis of each image of a subject."""
    threshold = subject.options.threshold
    return [
        diagnose(e.iou, e.found.scores, e.found.classes, e.true_classes, e.ignored, threshold)
        for e in subject.evidence
    ]


def error_counts(subject: Subject) -> ErrorCounts:
    """Sums over the images of a subject."""
    counts = ErrorCounts(len(subject.classes))
    for evidence, result in zip(subject.evidence, diagnoses(subject), strict=True):
        counts.update(result, evidence.found.classes, evidence.true_classes)
    return counts


def kind_rows(subject: Subject, counts: ErrorCounts) -> Table:
    """A row for all classes together, then one for each class that occurs."""
    names = [ALL, *subject.classes]
    kinds = np.vstack([counts.kinds.sum(axis=0), counts.kinds])
    objects = [counts.objects.sum(), *counts.objects]
    missed = [counts.missed.sum(), *counts.missed]
    rows = []
    for i in range(len(names)):
        if i == 0 or kinds[i].any() or objects[i]:
            rows.append(
                {
                    "run": subject.label,
                    "class": names[i],
                    **dict(zip(KINDS, kinds[i].tolist(), strict=True)),
                    "objects": int(objects[i]),
                    "missed": int(missed[i]),
                    "recall": _share(kinds[i, TP], objects[i]),
                    "precision": _share(kinds[i, TP], kinds[i, : len(KINDS) - 1].sum()),
                }
            )
    return rows


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
