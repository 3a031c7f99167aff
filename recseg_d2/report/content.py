"""What the template of the page shows: scores, the other analyses, and the data of its scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recseg_d2.analysis.catalog import summary_of
from recseg_d2.analysis.predictions import RunPredictions
from recseg_d2.analysis.result import AnalysisResult, Table
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.metrics import Metric
from recseg_d2.metrics.error_diagnosis import KINDS
from recseg_d2.report.charts import CHARTS, Figure, figures_of
from recseg_d2.report.images import size_limits
from recseg_d2.report.style import KIND_COLORS, KIND_MEANINGS, object_colors, run_color

SCORES = "scores"
ROWS_SHOWN = 200  # longer tables are drawn, or in the files of recseg analyze alone
MISSED = "missed"
_BEST = {True: "high", False: "low", None: "zero"}

Results = Mapping[str, AnalysisResult | MissingResultsError]


@dataclass
class Figures:
    """The charts of the page, which its places name by number.

    Attributes:
        runs: labels of all runs, whose colours follow from their places.
        all: the figures, as plotly's JSON.
    """

    runs: Sequence[str]
    all: list[Figure] = field(default_factory=list)

    def add(self, tables: Mapping[str, Table]) -> list[int]:
        """The numbers of the charts of some tables."""
        first = len(self.all)
        for name, rows in tables.items():
            self.all += figures_of(name, rows, self.runs)
        return list(range(first, len(self.all)))


def labels_of(results: Results, predictions: Sequence[RunPredictions]) -> list[str]:
    """The labels of all runs, as tables have them; those with predictions first."""
    done = [result for result in results.values() if isinstance(result, AnalysisResult)]
    rows = [row for result in done for rows in result.tables.values() for row in rows]
    labels = [of_run.label for of_run in predictions] + [row["run"] for row in rows]
    return list(dict.fromkeys(labels))


def colored(labels: Sequence[str], runs: Sequence[str]) -> list[dict[str, str]]:
    """Runs with their colours; ``runs`` are the labels of all, in their order."""
    return [{"label": label, "color": run_color(runs.index(label))} for label in labels]


def scores_of(results: Results, figures: Figures) -> dict[str, Any] | None:
    """The table of scores, a row a metric and a column a run; None where there is no truth."""
    result = results[SCORES]
    if isinstance(result, MissingResultsError):
        return None
    rows = result.tables["scores"]
    labels = list(dict.fromkeys(row["run"] for row in rows))
    cells = {(row["metric"], row["run"]): row for row in rows}
    meanings = {row["metric"]: row["meaning"] for row in rows}
    lines = [
        {"metric": key, "meaning": text, "cells": [cells.get((key, run)) for run in labels]}
        for key, text in meanings.items()
    ]
    shown = {"scores_of_images": result.tables["scores_of_images"]}
    return {
        "runs": colored(labels, figures.runs),
        "rows": lines,
        "figures": figures.add(shown),
        "notes": result.notes,
    }


def parts_of(results: Results, figures: Figures) -> list[dict[str, Any]]:
    """The analyses but for the scores: what each shows, its charts and tables."""
    return [
        {
            "name": name,
            "summary": summary_of(name),
            "figures": figures.add(result.tables),
            "tables": [(k, rows) for k, rows in result.tables.items() if _is_short(rows)],
            "long": [
                (k, len(rows))
                for k, rows in result.tables.items()
                if len(rows) > ROWS_SHOWN and k not in CHARTS
            ],
            "notes": result.notes,
        }
        for name, result in results.items()
        if name != SCORES and isinstance(result, AnalysisResult)
    ]


def missing_of(results: Results) -> list[tuple[str, str]]:
    """The analyses that there is nothing for, and what they lack."""
    return [(k, str(why)) for k, why in results.items() if isinstance(why, MissingResultsError)]


def metrics_of(predictions: Sequence[RunPredictions]) -> list[Metric]:
    """The metrics that images can be ranked by; none without ground truth."""
    judged = [of_run for of_run in predictions if of_run.has_truth]
    return list(judged[0].scores.metrics) if judged else []


def kinds_of(images: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The kinds of predictions by their number, then the missed objects; and which occur."""
    runs = [run for image in images for run in image["runs"] if run and run["kinds"] is not None]
    there = {KINDS[kind] for run in runs for kind in run["kinds"]}
    there |= {MISSED for run in runs if not all(run["found"])}
    return [
        {"name": k, "color": KIND_COLORS[k], "meaning": KIND_MEANINGS[k], "occurs": k in there}
        for k in (*KINDS, MISSED)
    ]


def size_texts(limits: Sequence[float]) -> list[str]:
    """The words for the sizes that the limits part; none without limits."""
    if not limits:
        return []
    small, large = (f"{limit:.0f}" for limit in limits)
    return [
        f"small (up to {small} pixels)",
        f"medium ({small} to {large})",
        f"large (over {large})",
    ]


def script_data(
    images: Sequence[dict[str, Any]], predictions: Sequence[RunPredictions], figures: Figures
) -> dict[str, Any]:
    """What the scripts of the page read; ``report.images`` says what of an image."""
    objects = [len(run["masks"]) for image in images for run in image["runs"] if run]
    true = [len(image["truth"]["masks"]) for image in images if image["truth"]]
    names = [name for of_run in predictions for name in of_run.classes]
    return {
        "runs": colored([of_run.label for of_run in predictions], figures.runs),
        "kinds": kinds_of(images),
        "metrics": [
            {"key": one.key, "meaning": one.meaning, "best": _BEST[one.higher_is_better]}
            for one in metrics_of(predictions)
        ],
        "classes": list(dict.fromkeys(names)),
        # missed objects have colours that no object of theirs has
        "colors": object_colors(max(objects, default=0) + max(true, default=0)),
        "sizeLimits": size_limits(images),
        "images": images,
        "figures": figures.all,
    }


def _is_short(rows: Table) -> bool:
    return 0 < len(rows) <= ROWS_SHOWN
