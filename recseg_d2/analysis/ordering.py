"""Order of discovery against simple strategies (RSIS, table 3a and figure 5)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from recseg_d2.analysis.predictions import AnalysisInput, RunPredictions
from recseg_d2.analysis.result import AnalysisResult, Table, by_run
from recseg_d2.metrics.ordering import (
    PATTERNS,
    STRATEGIES,
    PairCounts,
    TauSums,
    pair_patterns,
    strategy_values,
)
from recseg_d2.visualization.plots import grouped_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS_SHOWN = 20  # category pairs in the figure, the most frequent; the table has all


def analyse(data: AnalysisInput) -> AnalysisResult:
    """Order of discovery: Kendall's tau against each strategy, patterns of consecutive pairs.

    Only predictions are looked at, as in the paper; no ground truth is needed.

    Raises:
        MissingResultsError: no model finds one object after another, or never two in an image.
    """
    tau, notes = data.tabulate(tau_rows)
    pairs, _ = data.tabulate(pair_rows)
    result = AnalysisResult({"ordering_tau": tau, "ordering_pairs": pairs}, notes=notes)
    result.plots["ordering_tau"] = partial(draw_tau, tau)
    if pairs:
        result.plots["ordering_pairs"] = partial(draw_pairs, pairs)
    else:
        least = data.options.min_pairs
        notes.append(f"no category pair follows each other {least} times; see --min-pairs.")
    return result


def tau_rows(predictions: RunPredictions) -> Table:
    """A row of Kendall's tau for each strategy.

    Raises:
        MissingResultsError: there is no order of discovery.
    """
    predictions.check_order(least_objects=2)
    sums = TauSums()
    for found in predictions.found:
        sums.update(strategy_values(found.centers, found.areas))
    return sums.rows()


def pair_rows(predictions: RunPredictions) -> Table:
    """A row for each frequent category pair: how many, and the share that follows each pattern.

    Raises:
        MissingResultsError: there is no order of discovery.
    """
    predictions.check_order(least_objects=2)
    names = predictions.classes
    counts = PairCounts(len(names))
    for found in predictions.found:
        counts.update(found.classes, pair_patterns(found.centers, found.areas, found.size))
    shares = counts.shares(predictions.options.min_pairs)
    rows = [
        {
            "classes": f"{names[a]} + {names[b]}",
            "pairs": int(counts.pairs[a, b]),
            **dict(zip(PATTERNS, map(float, share), strict=True)),
        }
        for (a, b), share in shares.items()
    ]
    return sorted(rows, key=lambda row: -row["pairs"])


def draw_tau(rows: Table, figure: Figure) -> None:
    """Bars of tau with the standard error over images."""
    axes = figure.subplots()
    grouped_bars(axes, STRATEGIES, *tau_series(by_run(rows)))
    axes.set_ylabel("Kendall's tau, mean over images")
    axes.set_title("Order of discovery against sorting")


def draw_pairs(rows: Table, figure: Figure) -> None:
    """A table of shares for each run, coloured by how large they are."""
    shown = {run: of_run[:ROWS_SHOWN] for run, of_run in by_run(rows).items()}
    longest = max(len(of_run) for of_run in shown.values())
    figure.set_size_inches(6.5 * len(shown), 1.6 + 0.4 * longest)
    grid = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (run, of_run) in zip(grid, shown.items(), strict=True):
        _draw_shares(axes, of_run)
        axes.set_title(f"{run}: consecutive pairs, %")


def tau_series(parts: Mapping[str, Table]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Of rows of ``TauSums`` by name: tau, and its standard error over images."""
    tau = {name: [row["tau"] for row in rows] for name, rows in parts.items()}
    error = {name: [r["std"] / r["images"] ** 0.5 for r in rows] for name, rows in parts.items()}
    return tau, error


def _draw_shares(axes: Axes, rows: Table) -> None:
    shares = np.array([[row[pattern] for pattern in PATTERNS] for row in rows])
    axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues", aspect="auto")
    axes.set_xticks(range(len(PATTERNS)), PATTERNS)
    axes.set_yticks(range(len(rows)), [f"{row['classes']} ({row['pairs']})" for row in rows])
    for (i, j), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"  # readable on light and on dark cells
        axes.text(j, i, f"{100 * share:.0f}", ha="center", va="center", color=color)
