"""Losses and scores over the iterations, several runs side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from recseg_d2.analysis.predictions import AnalysisInput
from recseg_d2.analysis.result import AnalysisResult, Row
from recseg_d2.analysis.run_folder import ITERATION, MissingResultsError, RunFolder, of_each

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3  # plots side by side
VALIDATION = "val_loss/"  # begins the keys of ``engine.hooks.ValidationLoss``

Curve = list[tuple[int, float]]


def analyse(data: AnalysisInput) -> AnalysisResult:
    """Losses and scores over the iterations: all points, extremes and plots.

    Of metrics.json are taken ``AnalysisOptions.keys``, or every loss and every score of
    evaluations.

    Raises:
        MissingResultsError: no run has the file, or none of the keys.
    """
    keys = data.options.keys
    found, notes = of_each(data.runs, RunFolder.metrics)
    curves = {run.name: read_curves(lines, keys) for run, lines in found}
    # a dict keeps the order in which keys come, a set would not
    names = list(dict.fromkeys(key for of_run in curves.values() for key in of_run))
    if not names:
        wanted = ", ".join(keys) or "loss and no score"
        raise MissingResultsError(f"{', '.join(curves)}: found no {wanted} in metrics.json.")
    points = [
        {"run": run, "key": key, ITERATION: iteration, "value": value}
        for run, of_run in curves.items()
        for key, curve in of_run.items()
        for iteration, value in curve
    ]
    summary = [_summary(run, key, of_run[key]) for run, of_run in curves.items() for key in of_run]
    tables = {"curves": points, "curves_summary": summary}
    return AnalysisResult(tables, {"curves": partial(draw_curves, curves, names)}, notes)


def read_curves(lines: Sequence[dict[str, Any]], keys: Sequence[str] = ()) -> dict[str, Curve]:
    """Points (iteration, value) by key, in increasing order of iterations.

    A resumed run repeats iterations; the last line of each counts. Values that are no finite
    number are left out.

    Args:
        lines: the lines of a run's metrics.json.
        keys: the keys to read; without any, every loss and every score of evaluations.
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
    """A plot for each key, a line in it for each run; validation losses dashed beside training's.

    Args:
        curves: the values of each key, by run and then by key.
        names: the keys to draw, a panel for each.
        figure: an empty figure, which is drawn into.
    """
    beside = {name: training_loss(name, names) for name in names}
    plots = [name for name in names if beside[name] is None]
    columns = min(COLUMNS, len(plots))
    rows = math.ceil(len(plots) / columns)
    figure.set_size_inches(4.5 * columns, 3 * rows)
    places = list(figure.subplots(rows, columns, squeeze=False).ravel())
    axes_of = dict(zip(plots, places, strict=False))  # the last places may stay empty
    for name in names:
        axes = axes_of[beside[name] or name]
        style = "-" if beside[name] is None else "--"
        for i, (run, of_run) in enumerate(curves.items()):
            if name in of_run:
                label = run if beside[name] is None else f"{run}, validation"
                _draw_line(axes, of_run[name], linestyle=style, color=f"C{i}", label=label)
    for name, axes in axes_of.items():
        axes.set_title(name)
        axes.set_xlabel(ITERATION)
        axes.legend()
    for axes in places[len(plots) :]:
        axes.set_axis_off()


def training_loss(name: str, names: Sequence[str]) -> str | None:
    """The key of the training loss that a validation loss belongs to; None of other keys."""
    if not name.startswith(VALIDATION):
        return None
    term = name.removeprefix(VALIDATION)
    return next((key for key in (f"loss_{term}", term) if key in names), None)


def _draw_line(axes: Axes, curve: Curve, **style: Any) -> None:
    marker = "." if len(curve) == 1 else ""  # a line of one point cannot be seen
    axes.plot(*zip(*curve, strict=True), marker=marker, **style)


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
