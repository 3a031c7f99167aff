"""Check this package on a device that the suite does not run on, and measure it there.

One command, a few minutes, one JSON file. It needs this package's requirements with a PyTorch for
the device, and no data, no weights and no network. Every check stands on its own: one that fails
says so in its row, and the others go on; a part that runs out of time leaves its last checks out.

Parts: equal (every model's outputs, losses and gradients are those of the CPU to 1e-4 in float32),
waits (how often losses and predictions make the host wait for the device), speed (images a second
in float32, tf32 and bfloat16), graphs (all steps as one CUDA graph), schedule (what RIS' training
on CVPPP takes), training (a small one to its end), compiled (steps by torch.compile).

Examples:
    python benchmarks/device_check.py --output device_check.json
    python benchmarks/device_check.py --output device_check.json --parts equal waits
    python benchmarks/device_check.py --output device_check.json --device cpu --tiny
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # for tests/reference
sys.path.insert(0, str(ROOT))

import recseg_d2  # noqa: F401  (comes before any detectron2 import)

# isort: split
import torch

from benchmarks.device.equality import equal_checks, wait_checks
from benchmarks.device.settings import Check, Part, Settings
from benchmarks.device.speed import compiled_checks, graph_checks, schedule_checks, speed_checks
from benchmarks.device.training import training_checks
from recseg_d2.cli import run
from recseg_d2.engine.environment import environment
from recseg_d2.errors import UserError
from recseg_d2.files import make_place, save_scores

PARTS = {
    "equal": Part(50, equal_checks),
    "waits": Part(25, wait_checks),
    "speed": Part(60, speed_checks),
    "graphs": Part(25, graph_checks),
    "schedule": Part(40, schedule_checks),
    "training": Part(80, training_checks),
    "compiled": Part(70, compiled_checks),
}

Clock = Callable[[], float]


def build_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="the JSON to write")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, mps or cpu (default cuda)")
    parser.add_argument("--tiny", action="store_true", help="smallest models: to try the script")
    parser.add_argument(
        "--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="(default all)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=300.0,
        metavar="S",
        help="shared out among the parts; no check begins after its part's share (default 300)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts, write the file after each check; 1 where a check failed."""
    args = build_parser().parse_args(argv)
    device = usable(args.device)
    make_place(args.output)
    settings = Settings(device, args.tiny)
    report: dict[str, Any] = {"device": describe(device), "environment": environment(), "parts": {}}
    share = sum(PARTS[name].share for name in args.parts)
    for name in args.parts:
        part = PARTS[name]
        report["parts"][name] = rows = []
        ends = time.monotonic() + args.seconds * part.share / share
        for label, check in part.checks(settings).items():
            rows.append({"check": label, **outcome(check, ends)})
            print(name, rows[-1], flush=True)
            save_scores(args.output, report)
    failed = [r["check"] for rows in report["parts"].values() for r in rows if "failed" in r]
    print(f"{len(failed)} checks failed{': ' if failed else '.'}{', '.join(failed)}")
    return 1 if failed else 0


def outcome(check: Check, ends: float, clock: Clock = time.monotonic) -> dict[str, Any]:
    """What a check found, or why not: "failed", or "left_out" where its time is over.

    Args:
        check: is told the seconds that are left, and gives numbers by name; its "failed" says what
            is wrong with them, its "left_out" why there are none.
        ends: when the part's time is over, by the clock.
        clock: gives seconds.
    """
    started = clock()
    if started >= ends:
        return {"left_out": "no time was left"}
    try:
        found = check(ends - started)
    except Exception as error:  # one check's failure is its own, whatever it is
        found = {"failed": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {"seconds": round(clock() - started, 2), **found}


def usable(name: str) -> torch.device:
    """The device of a name.

    Raises:
        UserError: there is no such device here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--device is {name}, which this machine does not have or PyTorch {torch.__version__} "
            f"cannot use ({reason}): run this where it is, or try the script with --device cpu."
        ) from error
    return device


def describe(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{device} ({capability}, {torch.get_num_threads()} threads)"


if __name__ == "__main__":
    sys.exit(run(main))
