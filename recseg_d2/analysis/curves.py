"""Losses and scores over the iterations, several runs side by side.

May use: the package; matplotlib's figures as they are given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from recseg_d2.analysis.report import Report, Row
from recseg_d2.analysis.run_folder import ITERATION, MissingResultsError, RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3  # plots side by side

Curve = list[tuple[int, float]]


def analyse(runs: Sequence[RunFolder], keys: Sequence[str] = ()) -> Report:
    """The curves of metrics.json: each point, the first, last, lowest and highest, and plots.

    Args:
        runs: of training.
        keys: what to take of metrics.json; empty is every loss and every score of evaluations.

    Raises:
        MissingResultsError: no run has the file, or none of the keys.
    """
    notes, curves = [], {}
    for run in runs:
        try:
            curves[run.name] = read_curves(run.metrics(), keys)
        except MissingResultsError as error:
            notes.append(str(error))
    names = list(dict.fromkeys(key for of_run in curves.values() for key in of_run))
    if not names:
        wanted = f"found no {', '.join(keys)} in metrics.json." if keys and curves else ""
        raise MissingResultsError(" ".join(filter(None, [*notes, wanted])) or "found no curve.")
    points = [
        {"run": run, "key": key, ITERATION: iteration, "value": value}
        for run, of_run in curves.items()
        for key, curve in of_run.items()
        for iteration, value in curve
    ]
    summary = [_summary(run, key, of_run[key]) for run, of_run in curves.items() for key in of_run]
    report = Report({"curves": points, "curves_summary": summary}, notes=notes)
    report.plots["curves"] = partial(draw_curves, curves, names)
    return report


def read_curves(lines: Sequence[dict[str, Any]], keys: Sequence[str] = ()) -> dict[str, Curve]:
    """Points (iteration, value) by key, in increasing order of iterations.

    A resumed run repeats iterations; the last line of each counts. Values that are no finite
    number are left out.

    Args:
        lines: of metrics.json.
        keys: see ``analyse``.
    """
    curves: dict[str, dict[int, float]] = {}
    for line in lines:
        for key, value in line.items():
            wanted = key in keys if keys else is_loss_or_score(key)
            if wanted and isinstance(value, int | float) and math.isfinite(value):
                curves.setdefault(key, {})[int(line[ITERATION])] = float(value)
    order = sorted(curves, key=lambda key: (keys.index(key) if keys else 0, "/" in key, key))
    return {key: sorted(curves[key].items()) for key in order}


def is_loss_or_score(key: str) -> bool:
    """Whether a key of metrics.json is a loss, or a score that an evaluation wrote."""
    return "/" in key or key == "total_loss" or key.startswith("loss")


def draw_curves(curves: dict[str, dict[str, Curve]], names: Sequence[str], figure: Figure) -> None:
    """A plot for each key, a line in it for each run."""
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure.set_size_inches(4.5 * columns, 3 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(grid, names):  # noqa: B905  (the last places may stay empty)
        for i, (run, of_run) in enumerate(curves.items()):
            if name in of_run:
                marker = "." if len(of_run[name]) == 1 else ""
                axes.plot(*zip(*of_run[name], strict=True), marker=marker, color=f"C{i}", label=run)
        axes.set_title(name)
        axes.set_xlabel(ITERATION)
        if len(curves) > 1:
            axes.legend()
    for axes in grid[len(names) :]:
        axes.set_axis_off()


def _summary(run: str, key: str, curve: Curve) -> Row:
    values = [value for _, value in curve]
    lowest, highest = min(curve, key=lambda p: p[1]), max(curve, key=lambda p: p[1])
    return {
        "run": run,
        "key": key,
        "points": len(curve),
        "first": values[0],
        "last": values[-1],
        "lowest": lowest[1],
        "lowest_at": lowest[0],
        "highest": highest[1],
        "highest_at": highest[0],
    }
