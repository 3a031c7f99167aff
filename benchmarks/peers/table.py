"""Tables of the experiments that ``run`` left in folders, in Markdown and JSON.

    python -m benchmarks.peers.table output/peers/nuclei output/peers/cells --json tables.json

One table a folder, one row a method; seeds of a method are averaged.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.peers.scoring import standard_error
from recseg_d2.cli import run
from recseg_d2.errors import UserError
from recseg_d2.files import save_scores

EXPERIMENT, RESULT = "experiment.json", "result.json"
MEGA = 1e6
HEADERS = {
    "method": "method",
    "SBD": "SBD",
    "absDiC": "abs DiC",
    "AP50": "AP50",
    "seeds": "seeds",
    "cpu_minutes": "training, CPU min",
    "wall_minutes": "wall min",
    "threads": "threads",
    "cpu_ms": "ms an image, 1 thread",
    "parameters": "parameters",
    "commands": "commands",
}


def read_results(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The description of an experiment and the results of its runs.

    Raises:
        UserError: the folder is not that of an experiment, or has no result yet.
    """
    if not (folder / EXPERIMENT).is_file():
        raise UserError(f"{folder}: found no {EXPERIMENT}; expected the --output of a run.")
    results = [json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{RESULT}"))]
    if not results:
        raise UserError(f"{folder}: found no {RESULT} in any folder in it; no run has ended.")
    return json.loads((folder / EXPERIMENT).read_text()), results


def rows(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a method, by descending SBD.

    Returns:
        Numbers: means over seeds, and with the ending ``_error`` their standard errors over images
        (of each image's mean over seeds; of AP50 the bootstrap's, mean over seeds), with
        ``_seeds`` the standard deviation over seeds (None for one).
    """
    methods = dict.fromkeys(result["method"] for result in results)
    of_methods = [[r for r in results if r["method"] == method] for method in methods]
    return sorted((_row(runs) for runs in of_methods), key=lambda row: -row["SBD"])


def markdown(experiment: dict[str, Any], table: Sequence[dict[str, Any]]) -> str:
    """A heading, the table, and the commands of each method below it."""
    cells = [[_cell(row, key) for key in HEADERS] for row in table]
    lines = [
        f"## {describe(experiment)}",
        "",
        tabulate(cells, headers=list(HEADERS.values()), tablefmt="github", disable_numparse=True),
        "",
        "Standard errors over images after ±; thresholds from training images.",
        "",
    ]
    for row in table:
        lines += [f"{row['method']}:", "", "```", *row["commands"], "```", ""]
    return "\n".join(lines)


def describe(experiment: dict[str, Any]) -> str:
    """An experiment in a line."""
    counts = experiment["counts"]
    objects = experiment["objects"]
    parts = [
        experiment["name"],
        f"{counts['train']} training and {counts['val']} validation images",
        "all" if objects is None else f"{objects[0]} to {objects[1]} objects",
        f"{experiment['minutes']:g} CPU minutes on {experiment['threads']} threads",
    ]
    return ", ".join(parts)


def _row(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"method": runs[0]["method"], "seeds": len(runs)}
    for key in ("SBD", "absDiC"):
        by_image = np.array([[image[key] for image in run["images"].values()] for run in runs])
        row[key] = float(by_image.mean())
        row[f"{key}_error"] = standard_error(by_image.mean(axis=0).tolist())
        row[f"{key}_seeds"] = _deviation(by_image.mean(axis=1).tolist())
    row["AP50"] = statistics.mean(run["AP50"] for run in runs)
    row["AP50_error"] = statistics.mean(run["AP50_error"] for run in runs)
    row["AP50_seeds"] = _deviation([run["AP50"] for run in runs])
    for part, keys in (
        ("training", ("cpu_minutes", "wall_minutes", "threads")),
        ("prediction", ("cpu_ms", "wall_ms", "parameters")),
    ):
        row.update({key: statistics.mean(run[part][key] for run in runs) for key in keys})
    row["commands"] = runs[0]["commands"]
    return row


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _cell(row: dict[str, Any], key: str) -> str:
    value = row[key]
    if key in ("SBD", "absDiC", "AP50"):
        digits = 2 if key == "absDiC" else 1
        spread = row[f"{key}_seeds"]
        seeds = "" if spread is None else f" (seeds ± {spread:.{digits}f})"
        return f"{value:.{digits}f} ± {row[f'{key}_error']:.{digits}f}{seeds}"
    if key == "parameters":
        return f"{value / MEGA:.2f} M"
    if key == "commands":
        return str(len(value))
    if key in ("cpu_minutes", "wall_minutes", "cpu_ms"):
        return f"{value:.1f}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables of some folders, and write them as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="the --output of runs")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    args = parser.parse_args(argv)
    tables = []
    for folder in args.folders:
        experiment, results = read_results(folder)
        table = rows(results)
        print(markdown(experiment, table))
        tables.append({"experiment": experiment, "rows": table})
    if args.json:
        save_scores(args.json, tables)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
