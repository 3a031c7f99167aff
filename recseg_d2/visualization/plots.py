"""Plots of numbers.

matplotlib, which draws them, is the extra ``plots``, imported where it is used.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recseg_d2.errors import UserError
from recseg_d2.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Figure"], None]

DOTS_PER_INCH = 110
PANEL_INCHES = (4.2, 3.6)  # width and height of a panel of curves


def has_matplotlib() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def check_matplotlib() -> None:
    """Refuse at once what would fail after the computing.

    Raises:
        UserError: matplotlib is not installed.
    """
    if not has_matplotlib():
        raise UserError(
            "plots need matplotlib: pip install 'recseg_d2[plots]', or give --no-plots."
        )


def save_plot(path: str | Path, draw: Draw) -> Path:
    """Write a plot.

    Args:
        path: the file to write, whose ending says its format: .png, .webp, .svg, .pdf, ...; its
            folder is made where it is missing.
        draw: function that draws into an empty figure.

    Returns:
        the path.

    Raises:
        UserError: matplotlib is missing, it knows no such format, or the file cannot be written.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")  # not pyplot's: no window, no global state
    known = FigureCanvasAgg(figure).get_supported_filetypes()
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in known:
        raise UserError(f"{path}: expected a plot's ending, one of .{', .'.join(sorted(known))}.")
    draw(figure)
    with write_whole(path, "wb") as file:
        figure.savefig(file, format=kind, dpi=DOTS_PER_INCH)
    return Path(path)


def grouped_bars(
    axes: Axes,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    errors: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Bars side by side: a group on the axis, a bar in it for each of the series.

    Args:
        axes: the axes that are drawn into.
        groups: names of the groups of bars, under the axis.
        series: heights by name, one for each group; NaN leaves a gap.
        errors: half the length of the error bars, like ``series``.
    """
    width = 0.8 / max(len(series), 1)
    for i, (name, heights) in enumerate(series.items()):
        places = np.arange(len(groups)) + (i - (len(series) - 1) / 2) * width
        spread = None if errors is None else np.nan_to_num(np.asarray(errors[name], dtype=float))
        axes.bar(places, np.asarray(heights, dtype=float), width, yerr=spread, label=name)
    axes.set_xticks(range(len(groups)), groups)
    axes.axhline(0.0, color="black", linewidth=0.8)
    if len(series) > 1:
        axes.legend()


def draw_recall_curves(
    ious: np.ndarray, curves: Mapping[str, Mapping[str, np.ndarray]], figure: Figure
) -> None:
    """Recall against IoU, as in figures 6 and 7 of Dai et al. 2016: panels of lines.

    Args:
        ious: (M,) thresholds along the x axis.
        curves: recalls by the panel's title, a number of proposals, then by the line's label, a
            method or size of object: (M,) recall in [0, 1]; a line that is NaN throughout (no such
            object) is left out.
        figure: an empty figure, which is drawn into.
    """
    width, height = PANEL_INCHES
    figure.set_size_inches(width * len(curves), height)
    grid = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (title, lines) in zip(grid, curves.items(), strict=True):
        for label, recall in lines.items():
            if not np.isnan(recall).all():
                axes.plot(ious, recall, label=label)
        axes.set(title=title, xlabel="IoU", ylabel="recall", xlim=(ious[0], ious[-1]), ylim=(0, 1))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
