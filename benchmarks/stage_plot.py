"""Shares of time as a stacked bar for each model and mode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import OURS
from benchmarks.stage_places import REST, STAGES
from benchmarks.stages import WHOLE
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
    bars: dict[str, dict[str, float]] = {}
    wholes: dict[str, float] = {}
    for row in rows:
        if row["version"] != OURS:
            continue
        label = f"{row['config']}\n{row['mode']}"
        if row["precision"] != "float32":
            label += f", {row['precision']}"
        if row["stage"] == WHOLE:
            wholes[label] = row["ms an image"]
        else:
            bars.setdefault(label, {})[row["stage"]] = row["share %"]
    return save_plot(path, lambda figure: _draw(figure, bars, wholes))


def _draw(figure: Figure, bars: dict[str, dict[str, float]], wholes: dict[str, float]) -> None:
    from matplotlib import colormaps

    figure.set_size_inches(WIDTH, LEGEND_HEIGHT + BAR_HEIGHT * len(bars))
    axes = figure.subplots()
    used = [stage for stage in STAGES if any(stage in shares for shares in bars.values())]
    shades = [colormaps[name](n) for name in ("tab20", "tab20b") for n in range(20)]
    colours = dict(zip(STAGES, shades, strict=False))
    colours[REST] = (0.85, 0.85, 0.85, 1.0)
    left = dict.fromkeys(bars, 0.0)
    for stage in used:
        labels = [label for label, shares in bars.items() if stage in shares]
        widths = [bars[label][stage] for label in labels]
        drawn = axes.barh(
            labels, widths, left=[left[x] for x in labels], color=colours[stage], label=stage
        )
        axes.bar_label(
            drawn, [f"{w:.0f}" if w >= NAMED_FROM else "" for w in widths], label_type="center"
        )
        for label, width in zip(labels, widths, strict=True):
            left[label] += width
    for row, label in enumerate(bars):
        axes.text(101, row, f"{wholes[label]:.1f} ms", va="center")
    axes.set(xlim=(0, 100), ylim=(len(bars) - 0.5, -0.5), xlabel="share of the time of an image, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=LEGEND_COLUMNS, frameon=False)
