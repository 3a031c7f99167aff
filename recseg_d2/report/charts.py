"""The tables of analyses as plotly's figures, by one line of description each.

A chart takes the rows of a table. Rows of one ``panel`` make a figure, rows of one ``line`` in it
belong together, and a line has the colour of its run in every figure.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plotly import graph_objects as go

from recseg_d2.analysis.curves import training_loss
from recseg_d2.analysis.result import Table
from recseg_d2.analysis.run_folder import ITERATION
from recseg_d2.metrics.error_diagnosis import FALSE_POSITIVES
from recseg_d2.report.style import INK, LINES, PAPER, run_color

Figure = dict[str, Any]  # plotly's JSON: "data" and "layout"


@dataclass(frozen=True)
class Chart:
    """How a table is drawn.

    Attributes:
        title: over the figure; a panel's name comes before it.
        kind: "bar", "line", or "box" (a box over all rows of a line, with a dot for each).
        x: column along the horizontal axis.
        y: column of the values.
        error: column of half the length of error bars; "" draws none.
        panel: column whose values are a figure each; "" makes one figure.
        line: column whose values are drawn side by side.
        text: column that is shown beside a value where the mouse is.
        unit: whether values are shares in [0, 1], and the axis ends there.
        prepare: function that makes these columns of the table's rows.
    """

    title: str
    kind: str
    x: str
    y: str
    error: str = ""
    panel: str = ""
    line: str = "run"
    text: str = ""
    unit: bool = False
    prepare: Callable[[Table], Table] = list


def with_error(std: str, count: str) -> Callable[[Table], Table]:
    """Rows with "error", the standard error of a mean, of a standard deviation and a count."""
    return lambda rows: [{**row, "error": row[std] / math.sqrt(row[count])} for row in rows]


def kinds_of(rows: Table) -> Table:
    """A row for each kind of false positive."""
    return [
        {"run": row["run"], "kind": k, "share": row[k]} for row in rows for k in FALSE_POSITIVES
    ]


def sizes_of(rows: Table) -> Table:
    """Rows with the text of their bin, smallest first."""
    ordered = sorted(rows, key=lambda row: row["percent_to"])
    return [{**row, "size": f"to {row['percent_to']:g} %"} for row in ordered]


def beside_training(rows: Table) -> Table:
    """Points of validation losses as a dashed line beside the training loss, where there is one."""
    keys = list(dict.fromkeys(row["key"] for row in rows))
    beside = {key: training_loss(key, keys) for key in keys}
    return [
        {
            **row,
            "panel": beside[row["key"]] or row["key"],
            "line": row["run"] if beside[row["key"]] is None else f"{row['run']}, validation",
            "dashed": beside[row["key"]] is not None,
        }
        for row in rows
    ]


_standard_error = with_error("std", "images")

CHARTS: dict[str, tuple[Chart, ...]] = {
    "scores_of_images": (
        Chart("of each image", "box", x="run", y="value", panel="metric", text="image"),
    ),
    "ordering_tau": (
        Chart(
            "Kendall's tau against sorting",
            "bar",
            x="sorting",
            y="tau",
            error="error",
            prepare=_standard_error,
        ),
    ),
    "errors_false_positives": (
        Chart("share of false positives", "bar", x="kind", y="share", unit=True, prepare=kinds_of),
    ),
    "sizes": tuple(
        Chart(title, "bar", x="size", y=y, unit=True, prepare=sizes_of)
        for y, title in (
            ("missed_of_bin", "share of objects missed, by size"),
            ("share_of_all_missed", "where the missed objects are, by size"),
            ("iou", "mean IoU, by size"),
        )
    ),
    "steps": (
        Chart(
            "mean IoU, by step",
            "line",
            x="step",
            y="iou",
            error="error",
            unit=True,
            prepare=with_error("iou_std", "predictions"),
        ),
        Chart("share of hits, by step", "line", x="step", y="hits", unit=True),
    ),
    "activations": (
        Chart(
            "Kendall's tau against activations",
            "bar",
            x="level",
            y="tau",
            error="error",
            panel="run",
            line="weights",
            prepare=_standard_error,
        ),
    ),
    "proposals_recall": (
        Chart(
            "proposals: recall against IoU",
            "line",
            x="iou",
            y="recall",
            panel="proposals",
            unit=True,
        ),
    ),
    "curves": (
        Chart(
            f"by {ITERATION}",
            "line",
            x=ITERATION,
            y="value",
            panel="panel",
            line="line",
            prepare=beside_training,
        ),
    ),
}


def figures_of(table: str, rows: Table, runs: Sequence[str]) -> list[Figure]:
    """All figures of a table, ready for ``Plotly.newPlot``; none of a table without a chart.

    Args:
        table: name of the table, as in ``AnalysisResult.tables``.
        rows: its rows.
        runs: labels of all runs of the page, whose colours follow from their places.
    """
    return [
        figure
        for chart in CHARTS.get(table, ())
        for figure in _panels(chart, chart.prepare(rows), runs)
    ]


def _panels(chart: Chart, rows: Table, runs: Sequence[str]) -> list[Figure]:
    panels: dict[str, Table] = {}
    for row in rows:
        panels.setdefault(str(row[chart.panel]) if chart.panel else "", []).append(row)
    return [_figure(chart, panel, of_panel, runs) for panel, of_panel in panels.items()]


def _figure(chart: Chart, panel: str, rows: Table, runs: Sequence[str]) -> Figure:
    lines: dict[str, Table] = {}
    for row in rows:
        lines.setdefault(row[chart.line], []).append(row)
    figure = go.Figure(layout=_layout(chart, " ".join(filter(None, (panel, chart.title)))))
    for number, (line, of_line) in enumerate(lines.items()):
        # within the panel of one run, colours tell its lines apart
        place = number if chart.panel == "run" else runs.index(of_line[0]["run"])
        figure.add_trace(_trace(chart, line, of_line, run_color(place)))
    figure.update_layout(showlegend=len(lines) > 1 and chart.kind != "box")
    content: Figure = json.loads(figure.to_json())  # NaN becomes null
    return content


def _trace(chart: Chart, line: str, rows: Table, color: str) -> Any:
    name = html.escape(line)  # plotly reads texts as HTML
    y = [row[chart.y] for row in rows]
    if chart.kind == "box":
        points = {"boxpoints": "all", "pointpos": 0, "jitter": 0.4, "hoverinfo": "y+text"}
        text = [html.escape(str(row[chart.text])) for row in rows]
        look = {"marker": {"color": color, "size": 4, "opacity": 0.6}, "line": {"width": 1}}
        return go.Box(name=name, y=y, text=text, fillcolor="rgba(0,0,0,0)", **points, **look)
    x = [row[chart.x] for row in rows]
    error = [row[chart.error] for row in rows] if chart.error else None
    error_y = {"array": error, "thickness": 1, "width": 0}
    if chart.kind == "bar":
        return go.Bar(name=name, x=x, y=y, error_y=error_y, marker_color=color)
    look = {"color": color, "width": 2, "dash": "dot" if rows[0].get("dashed") else "solid"}
    mode = "lines" if len(rows) > 1 else "markers"
    return go.Scatter(name=name, x=x, y=y, error_y=error_y, mode=mode, line=look)


def _layout(chart: Chart, title: str) -> dict[str, Any]:
    axis = {"gridcolor": LINES, "linecolor": LINES, "zerolinecolor": LINES, "automargin": True}
    y_axis = {**axis, "range": [0, 1.02]} if chart.unit else axis
    return {
        "template": None,
        "title": {"text": html.escape(title), "font": {"size": 14}, "x": 0, "xref": "paper"},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "height": 260,
        "margin": {"l": 44, "r": 12, "t": 40, "b": 36},
        "bargap": 0.3,
        "legend": {"orientation": "h", "y": -0.18},
        "xaxis": {**axis, "showgrid": chart.kind == "line"},
        "yaxis": y_axis,
    }
