"""Whether one loading process keeps up with a training step.

Images with label maps are written once; then the time of a training batch is measured in its two
parts, in turn: read, augment and collate (what a loading process does), and losses, gradients and
update (what the training process does). Where the ratio is above 1, one worker is enough.

Examples:
    python benchmarks/loading.py
    python benchmarks/loading.py --config-file rsis_small.yaml --size 256 MODEL.PRECISION bfloat16
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
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from tabulate import tabulate

from benchmarks.configs import image_size_options
from benchmarks.data import made_images, reading
from benchmarks.models import Update, interleaved_seconds
from recseg_d2.cli import run
from recseg_d2.cli.model_options import add_config_options, parse_arguments
from recseg_d2.config import load_config
from recseg_d2.engine.phases import phase_configs
from recseg_d2.engine.solver import build_optimizer
from recseg_d2.errors import UserError
from recseg_d2.files import save_scores

DEFAULT_CONFIGS = ("rsis_small.yaml", "ris_small.yaml", "dense_small.yaml")


def build_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", nargs="+", default=list(DEFAULT_CONFIGS), metavar="FILE")
    parser.add_argument(
        "--size", type=int, default=256, metavar="N", help="pixels a side, of images and models"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="the median counts")
    parser.add_argument("--output", metavar="FILE", help="write the numbers as JSON")
    add_config_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table."""
    args = parse_arguments(build_parser(), argv)
    if args.repeats < 1:
        raise UserError(f"--repeats is {args.repeats}; expected 1 or more.")
    with made_images(args.size):
        rows = [loading_row(file, args) for file in args.config_file]
    print(tabulate(rows, headers="keys", floatfmt=".2f"))
    if args.output:
        save_scores(args.output, rows)
    return 0


def loading_row(file: str, args: argparse.Namespace) -> dict[str, Any]:
    """Images a second of a config's loading and of its training step."""
    cfg = training_config(file, args.size, args.opts)
    size = cfg.SOLVER.IMS_PER_BATCH
    read = reading(cfg, "training", size)
    torch.manual_seed(0)
    model = build_model(cfg).train()
    step = Update(model, build_optimizer(cfg, model), read())

    def load() -> None:
        step.batch = read()

    seconds = interleaved_seconds(
        {"load": load, "train": step}, args.repeats, torch.device(cfg.MODEL.DEVICE)
    )
    return {
        "config": Path(file).stem,
        "batch": size,
        "loaded images/s": size / seconds["load"],
        "trained images/s": size / seconds["train"],
        "ratio": seconds["train"] / seconds["load"],
    }


def training_config(file: str, size: int, opts: Sequence[str]) -> CfgNode:
    """A config's last phase for images of a size, with random weights."""
    options = [*image_size_options(size, size), *opts]
    *_, cfg = phase_configs(load_config(file, options)).values()
    cfg.MODEL.WEIGHTS = ""
    return cfg


if __name__ == "__main__":
    sys.exit(run(main))
