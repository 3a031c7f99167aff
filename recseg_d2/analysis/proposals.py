"""Average recall and recall against IoU of mask proposals, several runs side by side.

Reads what the evaluator "segment_proposal" wrote:
``inference/<data set>/average_recall_<data set>.json``.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recseg_d2.analysis.predictions import AnalysisInput
from recseg_d2.analysis.result import AnalysisResult, Table
from recseg_d2.analysis.run_folder import INFERENCE, MissingResultsError, RunFolder, of_each
from recseg_d2.errors import UserError
from recseg_d2.files import read_json
from recseg_d2.visualization.plots import draw_recall_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREFIX = "average_recall_"
DEFINITIONS = ("coco", "continuous")  # see metrics.average_recall
CURVE, IOU = "curve", "iou"


def analyse(data: AnalysisInput) -> AnalysisResult:
    """Average recall of mask proposals by each definition, and recall against IoU.

    Raises:
        MissingResultsError: no run evaluated proposals.
        UserError: a file is not what the evaluator writes.
    """
    found, notes = of_each(data.runs, read_run)
    numbers = {label: content for _, of_run in found for label, content in of_run.items()}
    averages = [
        {"run": label, "definition": d, **{k: _number(v) for k, v in content[d].items()}}
        for label, content in numbers.items()
        for d in DEFINITIONS
    ]
    curves = [row for label, content in numbers.items() for row in curve_rows(label, content)]
    tables = {"proposals_average_recall": averages, "proposals_recall": curves}
    return AnalysisResult(tables, {"proposals_recall": partial(draw_recall, curves)}, notes)


def read_run(run: RunFolder) -> dict[str, dict[str, Any]]:
    """The content of every file of a run, by label.

    Raises:
        MissingResultsError: there is none.
        UserError: a file is not what the evaluator writes.
    """
    files = run.inference_files(f"{PREFIX}*.json")
    if not files:
        raise MissingResultsError(
            f"{run.path}: has no {INFERENCE}/*/{PREFIX}*.json; evaluate a model of proposals on a "
            "data set whose evaluator_type is segment_proposal."
        )
    if len(files) == 1:
        return {run.name: _read(files[0])}
    return {f"{run.name}, {path.stem.removeprefix(PREFIX)}": _read(path) for path in files}


def curve_rows(label: str, content: dict[str, Any]) -> Table:
    """A row for each number N of proposals and each IoU: the share of objects covered so well."""
    curve = content[CURVE]
    return [
        {"run": label, "proposals": int(n), IOU: iou, "recall": _number(recall)}
        for n in curve
        if n != IOU
        for iou, recall in zip(curve[IOU], curve[n], strict=True)
    ]


def draw_recall(rows: Table, figure: Figure) -> None:
    """A plot for each number of proposals, a line in it for each run."""
    ious = np.array(sorted({row[IOU] for row in rows}))
    curves: dict[str, dict[str, list[float]]] = {}
    for row in sorted(rows, key=lambda row: (row["proposals"], row[IOU])):
        lines = curves.setdefault(f"{row['proposals']} proposals", {})
        lines.setdefault(row["run"], []).append(row["recall"])
    arrays = {
        title: {run: np.array(recall) for run, recall in lines.items()}
        for title, lines in curves.items()
    }
    draw_recall_curves(ious, arrays, figure)


def _read(path: Path) -> dict[str, Any]:
    written = "what the evaluator segment_proposal writes; evaluate again"
    content = read_json(path, written)
    needed = {*DEFINITIONS, CURVE}
    missing = needed - content.keys() if isinstance(content, dict) else needed
    if missing:
        raise UserError(f"{path}: lacks {', '.join(sorted(missing))}; expected {written}.")
    return content


def _number(value: float | None) -> float:
    """JSON has null for what is not defined."""
    return math.nan if value is None else value
