"""Measure images a second and peak memory of the models, for training and inference.

Each config's model is measured as it is and beside a paper-literal version of it, where there is
one, in the same run and in turn. Weights are random, every step of a sequence runs, and a search
finds as many objects; with --objects, images have different numbers of objects, and each sequence
ends one step after its last one. A version that takes more than 10 seconds is run once, without its
memory.

With --stages, each call is taken apart: data (made images read, augmented and collated by the
config's own loader, in this process), inputs, encoder, steps, matching, losses, backward,
optimiser, post-processing; with the floating-point operations of each stage, and the share of the
machine's peak at products of matrices that they reach. What no stage covers is the "rest".

With --operations, the time of a call is shared out among kinds of operation (convolutions, norms,
...) instead.

With --recompute, the peak memory of training is measured alone, of a model with steps as its
config has it and with each step computed anew for its gradient.

With --cityscapes-ap, the benchmark's AP is measured instead, on made images at full size, beside
the official scripts where cityscapesscripts is installed.

Examples:
    python benchmarks/run.py
    python benchmarks/run.py --config-file rsis_cvppp.yaml ris_cvppp.yaml --batch-size 8
    python benchmarks/run.py --config-file ris_synthetic.yaml --objects 2 8
    python benchmarks/run.py --stages --image-size 96 96 --plot stages.png
    python benchmarks/run.py --stages --config-file dense_small.yaml --precision float32 bfloat16
    python benchmarks/run.py --operations --config-file ris_synthetic.yaml --threads 1
    python benchmarks/run.py --recompute --batch-size 1 MODEL.SEQUENTIAL.STEPS 30
    python benchmarks/run.py --cityscapes-ap 10
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # for tests/reference
sys.path.insert(0, str(ROOT))

import recseg_d2  # noqa: F401  (comes before any detectron2 import)

# isort: split
import torch
from tabulate import tabulate

from benchmarks.configs import NamedConfig, computable, image_size_options, in_precisions
from benchmarks.literal import MODES
from benchmarks.machine import PRECISIONS, machine
from benchmarks.measuring import MeasureOptions
from benchmarks.metrics import metric_rows
from benchmarks.operations import operation_rows
from benchmarks.speed import memory_rows, speed_rows
from benchmarks.stages.plot import save_stage_plot
from benchmarks.stages.rows import stage_rows
from benchmarks.stages.shares import share_rows
from recseg_d2.cli import run
from recseg_d2.cli.model_options import add_config_options, parse_arguments
from recseg_d2.errors import UserError
from recseg_d2.files import save_scores
from recseg_d2.visualization.plots import check_matplotlib

DEFAULT_CONFIGS = (
    *("rsis_synthetic.yaml", "ris_synthetic.yaml"),
    *("instancefcn_synthetic.yaml", "dense_synthetic.yaml"),
)
DEFAULT_SIZE = (96, 96)
DEFAULT_RECOMPUTED = DEFAULT_CONFIGS[:2]  # the models with steps


def build_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config-file",
        nargs="+",
        metavar="FILE",
        help=f"configs, or names of shipped ones (default {' '.join(DEFAULT_CONFIGS)}); of one "
        "with phases, the last is measured",
    )
    parser.add_argument("--mode", nargs="+", choices=MODES, default=list(MODES), help="what to do")
    parser.add_argument("--batch-size", type=int, default=4, metavar="N", help="images a step")
    parser.add_argument(
        "--image-size",
        nargs=2,
        type=int,
        metavar=("H", "W"),
        help="of the images in pixels (default: what each config works at, and "
        f"{' '.join(map(str, DEFAULT_SIZE))} for the default configs)",
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=list(PRECISIONS),
        help="one after another; bfloat16 is left out where the machine has none (default: each "
        "config's own)",
    )
    parser.add_argument(
        "--repeats", type=int, default=5, metavar="N", help="timed steps; the median counts"
    )
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), metavar="N", help="of the CPU"
    )
    parser.add_argument(
        "--objects",
        nargs=2,
        type=int,
        metavar=("MIN", "MAX"),
        help="range that each image's number of objects is drawn from (default as many as there "
        "are steps for)",
    )
    parser.add_argument("--no-memory", action="store_true", help="leave the memory out")
    parser.add_argument("--no-literal", action="store_true", help="leave literal versions out")
    tables = parser.add_mutually_exclusive_group()
    tables.add_argument("--stages", action="store_true", help="take each call apart")
    tables.add_argument(
        "--recompute", action="store_true", help="compare memory with and without RECOMPUTE_STEPS"
    )
    tables.add_argument(
        "--operations", action="store_true", help="share the time out among kinds of operation"
    )
    tables.add_argument(
        "--cityscapes-ap", type=int, metavar="N", help="time the AP on N images, and no model"
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="of --stages: draw their shares as bars (.png, .webp, ...)"
    )
    parser.add_argument("--output", metavar="FILE", help="write the numbers as JSON")
    add_config_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table."""
    args = parse_arguments(build_parser(), argv)
    check_arguments(args)
    if args.cityscapes_ap is not None:
        report(metric_rows(args.cityscapes_ap, args.repeats), args.output)
        return 0
    files = args.config_file or (DEFAULT_RECOMPUTED if args.recompute else DEFAULT_CONFIGS)
    size = args.image_size or (None if args.config_file else DEFAULT_SIZE)
    sizes = image_size_options(*size) if size else []
    configs = in_precisions(files, [*sizes, *args.opts], args.precision)
    for device in {cfg.MODEL.DEVICE: None for _, cfg in configs}:
        print(machine(args.threads, device))
    rows = table(computable(configs), args)
    report(rows, args.output)
    if args.stages:
        print("\n" + tabulate(share_rows(rows), headers="keys", floatfmt=".1f", missingval=""))
    if args.plot and rows:
        save_stage_plot(args.plot, rows)
    return 0


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse numbers below 1, a range that is none, and a plot of nothing.

    Raises:
        UserError: there is one.
    """
    for name in ("batch_size", "repeats", "threads", "cityscapes_ap", "image_size"):
        found = getattr(args, name)
        if found is not None and min(found if isinstance(found, list) else [found]) < 1:
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} is {found}; expected 1 or more.")
    if args.objects and not 0 <= args.objects[0] <= args.objects[1]:
        raise UserError(f"--objects is {args.objects}; expected 0 or more, the smaller one first.")
    if args.plot:
        check_matplotlib()
        if not args.stages:
            raise UserError("--plot draws the shares of stages: give --stages too.")


def table(configs: Sequence[NamedConfig], args: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows that the options ask for, of all configs and modes."""
    options = MeasureOptions(
        args.batch_size,
        args.repeats,
        args.threads,
        not args.no_memory,
        not args.no_literal,
        tuple(args.objects) if args.objects else None,
    )
    if args.recompute:
        return [row for name, cfg in configs for row in memory_rows(name, cfg, options)]
    rows_of = speed_rows
    if args.stages:
        rows_of = stage_rows
    elif args.operations:
        rows_of = operation_rows
    return [
        row
        for name, cfg in configs
        for mode in args.mode
        for row in rows_of(name, cfg, mode, options)
    ]


def report(rows: list[dict[str, Any]], output: str | None) -> None:
    """Print a table, and write it as JSON if asked to."""
    print(tabulate(rows, headers="keys", floatfmt=".2f", missingval="-"))
    if output:
        save_scores(output, rows)


if __name__ == "__main__":
    sys.exit(run(main))
