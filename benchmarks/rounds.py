r"""How many rounds and looks a dense search takes, and how long, by one of its options.

Every image is searched with each value in turn, one thread at a time; images that are searched in
tiles are left out. What is found with a value is scored by `recseg predict` with that value and
`recseg evaluate`.

Examples:
    python benchmarks/rounds.py --weights recseg://cells --input cells/val/images \
        --key SHARED_BOX --values 0.0 0.05 0.15 0.3
    python benchmarks/rounds.py --weights output/nuclei --input images \
        --key HEAT_THRESH --values 0.12 0.2
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import recseg_d2  # noqa: F401  (comes before any detectron2 import)

# isort: split
import numpy as np
import torch
from tabulate import tabulate

from recseg_d2.cli import run
from recseg_d2.cli.model_options import (
    add_model_arguments,
    find_images,
    load_model_config,
    parse_arguments,
)
from recseg_d2.engine.predictor import Predictor
from recseg_d2.errors import UserError
from recseg_d2.files import save_scores
from recseg_d2.meta_arch.dense_attention_seg import DenseAttentionSeg

NODE = "MODEL.DENSE_ATTENTION.TEST"
KEYS = ("SHARED_BOX", "HEAT_THRESH", "LOOKS_PER_ROUND")


def build_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", nargs="+", required=True, metavar="PLACE", help="images")
    parser.add_argument("--key", choices=KEYS, required=True, help=f"of {NODE}")
    parser.add_argument("--values", nargs="+", required=True, metavar="V", help="of the key")
    parser.add_argument("--output", metavar="FILE", help="write the numbers as JSON")
    add_model_arguments(parser, batches=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table."""
    args = parse_arguments(build_parser(), argv)
    torch.set_num_threads(1)
    rows = measure(args.key, predictors(args), find_images(args.input))
    print(tabulate(rows, headers="keys", floatfmt=".2f"))
    if args.output:
        save_scores(args.output, rows)
    return 0


def predictors(args: argparse.Namespace) -> dict[str, Predictor]:
    """One for each value.

    Raises:
        UserError: the weights are of another model, or it cannot have a value.
    """
    given, found = list(args.opts), {}
    for value in args.values:
        args.opts = [*given, f"{NODE}.{args.key}", value]
        found[value] = Predictor(load_model_config(args))
        if not isinstance(found[value].model, DenseAttentionSeg):
            raise UserError(f"--weights is {args.weights}; expected those of a DenseAttentionSeg.")
    return found


def measure(key: str, models: dict[str, Predictor], images: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each value: means over the images of rounds, looks and objects, median time."""
    columns: dict[str, list[tuple[float, ...]]] = {value: [] for value in models}
    for path in images:
        for value, predictor in models.items():
            began = time.process_time()
            (output,) = predictor.outputs([path], with_trace=True)
            spent = time.process_time() - began
            if output["trace"] is not None:
                looks = output["trace"].looks
                rounds = len({look.round for look in looks})
                columns[value].append((rounds, len(looks), len(output["instances"]), spent))
    rows = []
    for value, numbers in columns.items():
        rounds, looks, objects, _ = np.mean(numbers, axis=0)
        milliseconds = 1000 * statistics.median(n[-1] for n in numbers)
        counts = {"images": len(numbers), "rounds": rounds, "looks": looks, "objects": objects}
        rows.append({key: value, **counts, "CPU ms": milliseconds})
    return rows


if __name__ == "__main__":
    sys.exit(run(main))
