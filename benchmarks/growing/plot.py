"""The curves as a picture: a row of panels for each, time at the left and memory at the right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recseg_d2.visualization.plots import PANEL_INCHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# curve -> what is along the x axis, and what the seconds are of
AXES = {
    "steps": ("steps", "an image"),
    "size": ("pixels of the image", "an image"),
    "objects": ("objects in the image", "an image"),
    "images": ("images evaluated", "all images"),
    "processes": ("processes", "an image of training"),
}
COSTS = {"seconds": "time of {}, s", "peak MiB": "peak memory, MiB"}

_LEGEND_INCHES = 2.0  # at the right of a row

Point = Mapping[str, Any]


def draw_curves(points: Sequence[Point], figure: Figure) -> None:
    """Draw rows of ``curve.point_rows`` into an empty figure, both axes logarithmic."""
    curves = [name for name in AXES if any(p["curve"] == name for p in points)]
    width, height = PANEL_INCHES
    figure.set_size_inches(width * len(COSTS) + _LEGEND_INCHES, height * len(curves))
    grid = figure.subplots(len(curves), len(COSTS), squeeze=False)
    for panels, curve in zip(grid, curves, strict=True):
        of_curve = [p for p in points if p["curve"] == curve]
        for axes, (cost, label) in zip(panels, COSTS.items(), strict=True):
            amount, of_what = AXES[curve]
            _draw_panel(of_curve, cost, axes)
            axes.set(xlabel=amount, ylabel=label.format(of_what))
        panels[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="small")


def _draw_panel(points: Sequence[Point], cost: str, axes: Axes) -> None:
    from matplotlib.ticker import LogFormatter

    axes.set(xscale="log", yscale="log")
    for name in dict.fromkeys(p["what"] for p in points):
        line = [p for p in points if p["what"] == name and (p[cost] or 0) > 0]
        axes.plot([p["amount"] for p in line], [p[cost] for p in line], "o-", ms=4, label=name)
    amounts = sorted({p["amount"] for p in points})
    axes.set_xticks(amounts, [_amount_text(n, points[0]["curve"]) for n in amounts])
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(LogFormatter())  # labels where a decade is not full
    axes.grid(alpha=0.3)
    _draw_guide(axes)


def _amount_text(amount: int, curve: str) -> str:
    return f"{math.isqrt(amount)}\N{SUPERSCRIPT TWO}" if curve == "size" else str(amount)


def _draw_guide(axes: Axes) -> None:
    """A dashed line of exponent 1, for comparison."""
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    axes.plot([low, high], [bottom, bottom * high / low], "--", color="0.6", lw=1, label="linear")
    axes.set(xlim=(low, high), ylim=(bottom, top))
