"""``recseg demo``: train on synthetic leaves, evaluate on unseen ones, draw.

What it shows is the main job, by the very commands a user would give: training is ``recseg train``
with the shipped config, the figures are those of every evaluation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from recseg_d2.cli import train
from recseg_d2.config import load_config
from recseg_d2.engine.timing import seconds_per_iteration
from recseg_d2.evaluation.baseline import score_baseline
from recseg_d2.files import save_scores

CONFIG = "dense_synthetic.yaml"
DATASET = "synthetic_rosettes_val"
METHOD = "leaves"

_DESCRIPTION = (
    "Train on synthetic leaves, evaluate on unseen ones beside the classical method, and draw them."
)


def build_parser() -> argparse.ArgumentParser:
    """Options of the demo."""
    parser = argparse.ArgumentParser(prog="recseg demo", description=_DESCRIPTION)
    parser.add_argument("--output", default="output/demo", help="folder for everything it writes")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config overrides, KEY VALUE ...")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train, compare, print the table and the paths."""
    args = build_parser().parse_args(argv)
    output = Path(args.output)
    print(f"{how_long(args.opts)}\n", flush=True)
    started = time.perf_counter()
    options = train.build_parser().parse_args(
        ["--overwrite", "--config-file", CONFIG, "OUTPUT_DIR", str(output), *args.opts]
    )
    ours = train.train(options)["label_map"]
    ours_seconds = time.perf_counter() - started
    started = time.perf_counter()
    classical = score_baseline(DATASET, METHOD).results()
    classical_seconds = time.perf_counter() - started
    rows = [
        ("DenseAttentionSeg", ours["SBD"], ours["absDiC"], ours_seconds),
        (
            "excess green + Otsu + watershed",
            classical["SBD"],
            classical["absDiC"],
            classical_seconds,
        ),
    ]
    report(rows, output)
    return 0


def how_long(opts: Sequence[str]) -> str:
    """A sentence on how long the demo takes here, from its first iterations."""
    cfg = load_config(CONFIG, opts)
    count, seconds = cfg.SOLVER.MAX_ITER, seconds_per_iteration(cfg)
    minutes = count * seconds / 60
    return (
        f"{count} iterations at {seconds:.2f} s on this machine: training takes about "
        f"{max(minutes, 1):.0f} min, and less than a minute more goes into evaluation and pictures."
    )


def report(rows: list[tuple[str, float, float, float]], output: Path) -> None:
    """Print the table and where the pictures are; keep the table as JSON beside them."""
    headers = ("method", "SBD", "|DiC|", "seconds")
    results: list[dict[str, Any]] = [dict(zip(headers, row, strict=True)) for row in rows]
    save_scores(output / "demo.json", results)
    print(f"\nUnseen images of {DATASET}; seconds include training.\n")
    print(tabulate(rows, headers=headers, floatfmt=("", ".1f", ".2f", ".0f")))
    print("\nPictures:")
    for path in sorted((output / "pictures").glob("*.png")):
        print(f"  {path}")
    print(f"Scores: {output / 'metrics.json'} (last line)")
