"""How many rounds a dense search takes, and how long, by what boxes of one round may share.

Every image is searched with each value in turn, one thread at a time; images that are searched in
tiles are left out. What is found with a value is scored by `recseg predict` with SHARED_BOX and
`recseg evaluate`.

Examples:
    python benchmarks/rounds.py --weights recseg://cells --input cells/val/images
    python benchmarks/rounds.py --weights output/nuclei --input images --shared-box 0 0.15 1
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

KEY = "MODEL.DENSE_ATTENTION.TEST.SHARED_BOX"


def build_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", nargs="+", required=True, metavar="PLACE", help="images")
    parser.add_argument(
        "--shared-box", nargs="+", type=float, default=[0.0, 0.05, 0.15, 0.3], metavar="S"
    )
    parser.add_argument("--output", metavar="FILE", help="write the numbers as JSON")
    add_model_arguments(parser, batches=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table."""
    args = parse_arguments(build_parser(), argv)
    torch.set_num_threads(1)
    rows = measure(predictors(args), find_images(args.input))
    print(tabulate(rows, headers="keys", floatfmt=".2f"))
    if args.output:
        save_scores(args.output, rows)
    return 0


def predictors(args: argparse.Namespace) -> dict[float, Predictor]:
    """One for each value.

    Raises:
        UserError: the weights are of another model.
    """
    given, found = list(args.opts), {}
    for share in args.shared_box:
        args.opts = [*given, KEY, str(share)]
        found[share] = Predictor(load_model_config(args))
        if not isinstance(found[share].model, DenseAttentionSeg):
            raise UserError(f"--weights is {args.weights}; expected those of a DenseAttentionSeg.")
    return found


def measure(models: dict[float, Predictor], images: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each value: means over the images of rounds, looks and objects, median time."""
    columns: dict[float, list[tuple[float, ...]]] = {share: [] for share in models}
    for path in images:
        for share, predictor in models.items():
            began = time.process_time()
            (output,) = predictor.outputs([path], with_trace=True)
            spent = time.process_time() - began
            if output["trace"] is not None:
                looks = output["trace"].looks
                rounds = len({look.round for look in looks})
                columns[share].append((rounds, len(looks), len(output["instances"]), spent))
    rows = []
    for share, numbers in columns.items():
        rounds, looks, objects, _ = np.mean(numbers, axis=0)
        milliseconds = 1000 * statistics.median(n[-1] for n in numbers)
        counts = {"images": len(numbers), "rounds": rounds, "looks": looks, "objects": objects}
        rows.append({"shared box": share, **counts, "CPU ms": milliseconds})
    return rows


if __name__ == "__main__":
    sys.exit(run(main))
