"""What an analysis hands over, and how it is written: CSV, JSON, PNG."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recseg_d2.files import make_folder, save_scores, write_whole
from recseg_d2.visualization.plots import Draw, save_plot

Row = dict[str, Any]
Table = list[Row]


@dataclass
class AnalysisResult:
    """Results of an analysis.

    Attributes:
        tables: rows by the name of the table's files; the rows of a table share their keys.
        plots: functions that draw into an empty figure, by the name of the figure's file.
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
            paths.append(_write_csv(folder / f"{name}.csv", rows))
            paths.append(save_scores(folder / f"{name}.json", rows))
        for name, draw in self.plots.items() if with_plots else ():
            paths.append(save_plot(folder / f"{name}.png", draw))
        return paths


def by_run(rows: Table) -> dict[str, Table]:
    """The rows of each run by its label, both in the table's order."""
    tables: dict[str, Table] = {}
    for row in rows:
        tables.setdefault(row["run"], []).append(row)
    return tables


def _write_csv(path: Path, rows: Table) -> Path:
    with write_whole(path) as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        for row in rows:
            writer.writerow({key: "" if _is_nan(value) else value for key, value in row.items()})
    return path


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
