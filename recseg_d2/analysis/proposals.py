"""Average recall and recall against IoU of mask proposals, several runs side by side.

Reads what the evaluator "segment_proposal" wrote:
``inference/<data set>/average_recall_<data set>.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recseg_d2.analysis.report import Report, Table
from recseg_d2.analysis.run_folder import INFERENCE, MissingResultsError, RunFolder
from recseg_d2.analysis.subjects import of_each
from recseg_d2.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREFIX = "average_recall_"
DEFINITIONS = ("coco", "continuous")  # see metrics.average_recall
CURVE, IOU = "curve", "iou"
NOT_DEFINED = float("nan")


def analyse(runs: Sequence[RunFolder]) -> Report:
    """A row of average recall for each run and definition, and the curves of recall against IoU.

    Raises:
        MissingResultsError: no run evaluated proposals.
        UserError: a file is not what the evaluator writes.
    """
    found, notes = of_each(runs, read_run)
    numbers = {label: content for _, of_run in found for label, content in of_run.items()}
    averages = [
        {"run": label, "definition": definition, **_defined(content[definition])}
        for label, content in numbers.items()
        for definition in DEFINITIONS
    ]
    curves = [row for label, content in numbers.items() for row in curve_rows(label, content)]
    tables = {"proposals_average_recall": averages, "proposals_recall": curves}
    report = Report(tables, notes=notes)
    report.plots["proposals_recall"] = partial(draw_recall, curves)
    return report


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
        {"run": label, "proposals": int(n), IOU: iou, "recall": recall}
        for n in curve
        if n != IOU
        for iou, recall in zip(curve[IOU], _numbers(curve[n]), strict=True)
    ]


def draw_recall(rows: Table, figure: Figure) -> None:
    """A plot for each number of proposals, a line in it for each run."""
    limits = sorted({row["proposals"] for row in rows})
    figure.set_size_inches(4.5 * len(limits), 3.6)
    grid = figure.subplots(1, len(limits), squeeze=False, sharey=True)[0]
    for axes, limit in zip(grid, limits, strict=True):
        of_limit = [row for row in rows if row["proposals"] == limit]
        for run in dict.fromkeys(row["run"] for row in rows):
            points = [(row[IOU], row["recall"]) for row in of_limit if row["run"] == run]
            if points:
                axes.plot(*zip(*points, strict=True), label=run)
        axes.set_title(f"{limit} proposals")
        axes.set_xlabel("IoU")
        axes.set_ylim(0, 1)
        axes.legend()
    grid[0].set_ylabel("recall")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); evaluate again.") from error
    needed = {*DEFINITIONS, CURVE}
    missing = needed - content.keys() if isinstance(content, dict) else needed
    if missing:
        raise UserError(
            f"{path}: lacks {', '.join(sorted(missing))}, which the evaluator segment_proposal "
            "writes; evaluate again."
        )
    return content


def _defined(averages: dict[str, float | None]) -> dict[str, float]:
    return dict(zip(averages, _numbers(list(averages.values())), strict=True))


def _numbers(values: Sequence[float | None]) -> list[float]:
    """JSON has null for what is not defined."""
    return [NOT_DEFINED if value is None else value for value in values]
