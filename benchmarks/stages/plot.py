"""Shares of time as a stacked bar for each model and mode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.stages.places import REST, STAGES
from benchmarks.stages.shares import share_rows
from recseg_d2.visualization.plots import save_plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, BAR_HEIGHT, LEGEND_HEIGHT = 10.0, 0.5, 1.6  # inches
NAMED_FROM = 7.0  # percent of a bar, so that a stage's share fits in
LEGEND_COLUMNS = 6


def save_stage_plot(path: str | Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write the bars of this package's versions.

    Args:
        path: the file, whose ending says its format.
        rows: what ``stage_rows`` gave, of one or several models and modes.

    Raises:
        UserError: see ``save_plot``.
    """
    table = {row.pop("share %"): row for row in share_rows(rows)}
    wholes = table["ms an image"]
    shares = {stage: numbers for stage, numbers in table.items() if stage in STAGES}
    return save_plot(path, lambda figure: _draw(figure, shares, wholes))


def _draw(figure: Figure, shares: dict[str, dict[str, float]], wholes: dict[str, float]) -> None:
    """A bar for each key of ``wholes``: stage by stage, percent of it."""
    from matplotlib import colormaps

    figure.set_size_inches(WIDTH, LEGEND_HEIGHT + BAR_HEIGHT * len(wholes))
    axes = figure.subplots()
    shades = [colormaps[name](n) for name in ("tab20", "tab20b") for n in range(20)]
    colours = dict(zip(STAGES, shades, strict=False))
    colours[REST] = (0.85, 0.85, 0.85, 1.0)
    left = dict.fromkeys(wholes, 0.0)
    for stage, of_bars in shares.items():
        widths = [of_bars.get(bar, 0.0) for bar in wholes]
        drawn = axes.barh(
            list(wholes), widths, left=list(left.values()), color=colours[stage], label=stage
        )
        inside = [f"{w:.0f}" if w >= NAMED_FROM else "" for w in widths]
        axes.bar_label(drawn, inside, label_type="center")
        left = {bar: left[bar] + width for bar, width in zip(wholes, widths, strict=True)}
    for place, value in enumerate(wholes.values()):
        axes.text(101, place, f"{value:.1f} ms", va="center")
    axes.set(xlim=(0, 100), ylim=(len(wholes) - 0.5, -0.5), xlabel="share of an image's time, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=LEGEND_COLUMNS, frameon=False)
