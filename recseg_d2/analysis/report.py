"""What an analysis hands over, and how it is written: CSV, JSON, PNG.

Matplotlib (the extra ``plots``) is imported where it is used.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recseg_d2.errors import UserError
from recseg_d2.files import make_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]
Table = list[Row]
Draw = Callable[["Figure"], None]

DOTS_PER_INCH = 110


@dataclass
class Report:
    """Results of an analysis.

    Attributes:
        tables: by the name of their files; the rows of a table share their keys.
        plots: by the name of their files; each draws into an empty figure.
        notes: sentences about what the results do not show.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    plots: dict[str, Draw] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def write(self, folder: str | Path, with_plots: bool = True) -> list[Path]:
        """Write every table as CSV and JSON, every plot as PNG; returns the paths.

        NaN is empty in CSV and null in JSON. Files of an earlier time are overwritten.

        Raises:
            UserError: the folder cannot be written into, or matplotlib is missing.
        """
        folder = make_folder(folder)
        paths = []
        for name, rows in self.tables.items():
            paths += [_write_csv(folder / f"{name}.csv", rows)]
            paths += [_write_json(folder / f"{name}.json", rows)]
        for name, draw in self.plots.items() if with_plots else ():
            paths.append(_write_plot(folder / f"{name}.png", draw))
        return paths


def check_matplotlib() -> None:
    """Refuse at once what would fail after the computing.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError(
            "plots need matplotlib: pip install 'recseg_d2[plots]', or give --no-plots."
        ) from error


def grouped_bars(
    axes: Axes,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    errors: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Bars side by side: a group on the axis, a bar in it for each of the series.

    Args:
        axes: drawn into.
        groups: names under the axis.
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


def _write_csv(path: Path, rows: Table) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(_without_nan(row, "") for row in rows)
    return path


def _write_json(path: Path, rows: Table) -> Path:
    text = json.dumps([_without_nan(row, None) for row in rows], indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _without_nan(row: Row, instead: str | None) -> Row:
    return {
        key: instead if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }


def _write_plot(path: Path, draw: Draw) -> Path:
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")  # not pyplot's: no window, no global state
    FigureCanvasAgg(figure)
    draw(figure)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path
