"""Measure images a second and peak memory of the models, for training and inference.

Each config's model is measured as it is and beside a paper-literal version of it, in the same run
and in turn. Weights are random, and every step of the sequence runs; with --objects, images have
different numbers of objects, and each ends one step after its last one.

With --stages, InstanceFCN's inference is taken apart instead: backbone, heads, assembling, tight
boxes, suppression and pasting, at one scale and at all of the config's.

With --recompute, the peak memory of training is measured alone, of a model with steps as its
config has it and with each step computed anew for its gradient.

With --operations, the time of a call is shared out among kinds of operation (convolutions, norms,
...), with the floating-point operations and their share of the machine's matrix peak.

With --cityscapes-ap, the benchmark's AP is measured instead, on made images at full size, beside
the official scripts where cityscapesscripts is installed.

Examples:
    python benchmarks/run.py
    python benchmarks/run.py --config-file rsis_cvppp.yaml ris_cvppp.yaml --batch-size 8
    python benchmarks/run.py --config-file ris_synthetic.yaml --objects 2 8
    python benchmarks/run.py --stages --config-file instancefcn_voc.yaml --image-size 375 500
    python benchmarks/run.py --operations --config-file ris_synthetic.yaml --threads 1
    python benchmarks/run.py --recompute --batch-size 1 MODEL.SEQUENTIAL.STEPS 30
    python benchmarks/run.py --cityscapes-ap 10
"""

from __future__ import annotations

import argparse
import platform
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
from tabulate import tabulate

from benchmarks.metrics import metric_rows
from benchmarks.models import (
    LITERAL,
    MODES,
    Subject,
    build_step,
    interleaved_seconds,
    peak_bytes,
)
from benchmarks.operations import operation_rows
from benchmarks.stages import StageSettings, stage_rows
from recseg_d2.cli import run
from recseg_d2.cli.model_options import add_config_options, parse_arguments
from recseg_d2.config import load_config
from recseg_d2.engine.phases import phase_configs
from recseg_d2.errors import UserError
from recseg_d2.files import save_scores

DEFAULT_CONFIGS = ("rsis_synthetic.yaml", "ris_synthetic.yaml")
DEFAULT_STAGE_CONFIGS = ("instancefcn_synthetic.yaml",)
MEBIBYTE = 2**20


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
        help=f"configs, or names of shipped ones (default {' '.join(DEFAULT_CONFIGS)}; with "
        f"--stages {' '.join(DEFAULT_STAGE_CONFIGS)}); of one with phases, the last is measured",
    )
    parser.add_argument("--mode", nargs="+", choices=MODES, default=list(MODES), help="what to do")
    parser.add_argument("--batch-size", type=int, default=4, metavar="N", help="images a step")
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
    parser.add_argument(
        "--recompute", action="store_true", help="compare memory with and without RECOMPUTE_STEPS"
    )
    parser.add_argument(
        "--operations", action="store_true", help="share the time out among kinds of operation"
    )
    _add_stage_arguments(parser)
    parser.add_argument(
        "--cityscapes-ap", type=int, metavar="N", help="time the AP on N images, and no model"
    )
    parser.add_argument("--output", metavar="FILE", help="write the numbers as JSON")
    add_config_options(parser)
    return parser


def _add_stage_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stages", action="store_true", help="time InstanceFCN's stages")
    parser.add_argument(
        "--image-size",
        nargs=2,
        type=int,
        default=list(StageSettings().size),
        metavar=("H", "W"),
        help="of --stages: the image in pixels (default 375 500, about VOC's)",
    )
    parser.add_argument(
        "--literal-windows",
        type=int,
        default=StageSettings().literal_windows,
        metavar="N",
        help="of --stages: windows that the literal reference pastes; 0 leaves it out",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table."""
    args = parse_arguments(build_parser(), argv)
    for name in ("batch_size", "repeats", "threads", "cityscapes_ap"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} is {getattr(args, name)}; expected 1 or more.")
    if min(args.image_size) < 1 or args.literal_windows < 0:
        raise UserError(
            f"--image-size is {args.image_size} and --literal-windows {args.literal_windows}; "
            "expected sides of 1 or more, and 0 or more windows."
        )
    if args.objects and not 0 <= args.objects[0] <= args.objects[1]:
        raise UserError(f"--objects is {args.objects}; expected 0 or more, the smaller one first.")
    if args.cityscapes_ap is not None:
        return report(metric_rows(args.cityscapes_ap, args.repeats), args.output)
    files = args.config_file or (DEFAULT_STAGE_CONFIGS if args.stages else DEFAULT_CONFIGS)
    configs = {Path(file).stem: benchmark_config(file, args.opts) for file in files}
    print(machine(args.threads, next(iter(configs.values())).MODEL.DEVICE))
    tables = {
        stage_table: args.stages,
        memory_table: args.recompute,
        operation_table: args.operations,
        speed_table: True,
    }
    table = next(table for table, wanted in tables.items() if wanted)
    return report(table(configs, args), args.output)


def report(rows: list[dict[str, Any]], output: str | None) -> int:
    """Print a table, and write it as JSON if asked to."""
    print(tabulate(rows, headers="keys", floatfmt=".2f", missingval="-"))
    if output:
        save_scores(output, rows)
    return 0


def speed_table(configs: dict[str, CfgNode], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of all configs and modes."""
    rows: list[dict[str, Any]] = []
    for name, cfg in configs.items():
        if cfg.MODEL.META_ARCHITECTURE not in LITERAL:
            print(f"{name}: {cfg.MODEL.META_ARCHITECTURE} has no paper-literal version; left out.")
        rows += [row for mode in args.mode for row in measure(name, cfg, mode, args)]
    return rows


def operation_table(configs: dict[str, CfgNode], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of all configs, modes and kinds of operation."""
    return [
        row
        for name, cfg in configs.items()
        for mode in args.mode
        for row in operation_rows(name, cfg, mode, args.batch_size, args.threads)
    ]


def stage_table(configs: dict[str, CfgNode], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of all configs and stages."""
    torch.set_num_threads(args.threads)
    settings = StageSettings(tuple(args.image_size), args.repeats, args.literal_windows)
    return [
        {"config": name, **row}
        for name, cfg in configs.items()
        for row in stage_rows(cfg, settings)
    ]


def memory_table(configs: dict[str, CfgNode], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of all configs, with all steps kept for the gradient and with each computed anew."""
    rows: list[dict[str, Any]] = []
    for name, shared in configs.items():
        for recompute in (False, True):
            cfg = shared.clone()
            cfg.defrost()
            cfg.MODEL.SEQUENTIAL.RECOMPUTE_STEPS = recompute
            cfg.freeze()
            peak = peak_bytes(Subject(cfg, "training", args.batch_size, False, args.threads))
            size = "x".join(map(str, cfg.MODEL.SEQUENTIAL.IMAGE_SIZE))
            rows.append(
                {
                    "config": name,
                    "pixels": size,
                    "steps": cfg.MODEL.SEQUENTIAL.STEPS,
                    "recomputed": recompute,
                    "peak MiB": None if peak is None else peak / MEBIBYTE,
                }
            )
    return rows


def benchmark_config(file: str, opts: Sequence[str]) -> CfgNode:
    """The config of a file's last phase, for random weights, all steps and no ground truth inside.

    Raises:
        UserError: see ``cli.train.load_config``.
    """
    *_, last = phase_configs(load_config(file, opts)).values()
    cfg = last.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.SEQUENTIAL.TEST.SCORE_THRESH = 0.0
    cfg.MODEL.RIS.SAMPLING.MASKS = cfg.MODEL.RIS.SAMPLING.BOXES = "never"
    cfg.freeze()
    return cfg


def measure(
    name: str, cfg: CfgNode, mode: str, args: argparse.Namespace
) -> list[dict[str, str | float | None]]:
    """A row of the table for each version of the model."""
    objects = None if args.objects is None else tuple(args.objects)
    versions = {"this package": False}
    if cfg.MODEL.META_ARCHITECTURE in LITERAL:
        versions["paper-literal"] = True
    subjects = {
        version: Subject(cfg, mode, args.batch_size, literal, args.threads, objects)
        for version, literal in versions.items()
    }
    steps = {version: build_step(subject)[1] for version, subject in subjects.items()}
    seconds = interleaved_seconds(steps, args.repeats, torch.device(cfg.MODEL.DEVICE))
    steps.clear()  # their models' memory is not to be counted
    slowest = seconds.get("paper-literal")
    rows: list[dict[str, Any]] = []
    for version, subject in subjects.items():
        peak = None if args.no_memory else peak_bytes(subject)
        rows.append(
            {
                "config": name,
                "mode": mode,
                "version": version,
                "images/s": args.batch_size / seconds[version],
                "times literal": None if slowest is None else slowest / seconds[version],
                "peak MiB": None if peak is None else peak / MEBIBYTE,
            }
        )
    return rows


def machine(threads: int, device: str) -> str:
    """What the numbers are of, in a line."""
    if device.startswith("cuda"):
        place = torch.cuda.get_device_name(device)
    else:
        place = f"{platform.processor() or platform.machine()}, {threads} threads"
    return f"PyTorch {torch.__version__} on {device} ({place})"


if __name__ == "__main__":
    sys.exit(run(main))
