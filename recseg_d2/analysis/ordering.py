"""Order of discovery against simple strategies (RSIS, table 3a and figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from recseg_d2.analysis.report import Report, Table, grouped_bars
from recseg_d2.analysis.subjects import Subject, check_order, of_each
from recseg_d2.metrics.ordering import (
    PATTERNS,
    STRATEGIES,
    PairCounts,
    TauSums,
    pair_patterns,
    strategy_values,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS_SHOWN = 20  # category pairs in the figure, the most frequent; the table has all


def analyse(subjects: Sequence[Subject]) -> Report:
    """Kendall's tau against each strategy, and the patterns of consecutive pairs.

    Only predictions are looked at, as in the paper; no ground truth is needed.

    Raises:
        MissingResultsError: no model finds one object after another, or never two in an image.
    """
    found, notes = of_each(subjects, lambda subject: (tau_rows(subject), pair_rows(subject)))
    tau = [row for _, (rows, _) in found for row in rows]
    pairs = [row for _, (_, rows) in found for row in rows]
    report = Report({"ordering_tau": tau, "ordering_pairs": pairs}, notes=notes)
    report.plots["ordering_tau"] = partial(draw_tau, tau)
    if pairs:
        report.plots["ordering_pairs"] = partial(draw_pairs, pairs)
    else:
        least = subjects[0].options.min_pairs
        notes.append(f"no category pair follows each other {least} times; see --min-pairs.")
    return report


def tau_rows(subject: Subject) -> Table:
    """A row of Kendall's tau for each strategy.

    Raises:
        MissingResultsError: there is no order of discovery.
    """
    check_order(subject, least_objects=2)
    sums = TauSums()
    for found in subject.found:
        sums.update(strategy_values(found.centers, found.areas))
    return [{"run": subject.label, **row} for row in sums.rows()]


def pair_rows(subject: Subject) -> Table:
    """A row for each frequent category pair: how many, and the share that follows each pattern."""
    names = subject.classes
    counts = PairCounts(len(names))
    for found in subject.found:
        counts.update(found.classes, pair_patterns(found.centers, found.areas, found.size))
    shares = counts.shares(subject.options.min_pairs)
    rows = [
        {
            "run": subject.label,
            "classes": f"{names[a]} + {names[b]}",
            "pairs": int(counts.pairs[a, b]),
            **dict(zip(PATTERNS, map(float, share), strict=True)),
        }
        for (a, b), share in shares.items()
    ]
    return sorted(rows, key=lambda row: -row["pairs"])


def draw_tau(rows: Table, figure: Figure) -> None:
    """Bars of tau with the standard error over images."""
    runs = list(dict.fromkeys(row["run"] for row in rows))
    by_run = {run: [row for row in rows if row["run"] == run] for run in runs}
    axes = figure.subplots()
    grouped_bars(
        axes,
        STRATEGIES,
        {run: [row["tau"] for row in of_run] for run, of_run in by_run.items()},
        {
            run: [row["std"] / row["images"] ** 0.5 for row in of_run]
            for run, of_run in by_run.items()
        },
    )
    axes.set_ylabel("Kendall's tau, mean over images")
    axes.set_title("Order of discovery against sorting")


def draw_pairs(rows: Table, figure: Figure) -> None:
    """A table of shares for each run, coloured by how large they are."""
    runs = list(dict.fromkeys(row["run"] for row in rows))
    shown = {run: [row for row in rows if row["run"] == run][:ROWS_SHOWN] for run in runs}
    longest = max(len(of_run) for of_run in shown.values())
    figure.set_size_inches(6.5 * len(runs), 1.6 + 0.4 * longest)
    grid = figure.subplots(1, len(runs), squeeze=False)[0]
    for axes, (run, of_run) in zip(grid, shown.items(), strict=True):
        _draw_shares(axes, of_run)
        axes.set_title(f"{run}: consecutive pairs, %")


def _draw_shares(axes: Axes, rows: Table) -> None:
    shares = np.array([[row[pattern] for pattern in PATTERNS] for row in rows])
    axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues", aspect="auto")
    axes.set_xticks(range(len(PATTERNS)), PATTERNS)
    axes.set_yticks(range(len(rows)), [f"{row['classes']} ({row['pairs']})" for row in rows])
    for (i, j), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"  # readable on light and on dark cells
        axes.text(j, i, f"{100 * share:.0f}", ha="center", va="center", color=color)
