"""How time and peak memory grow with steps, image size, objects, images evaluated and processes.

Each point is measured in a process of its own, on the CPU with one thread: its memory, then the
median of the processor's seconds for several calls; of trainings by several processes those of the
clock.

Through the upper half of a line's points, from the middle one on, a power law a * amount^b is
fitted (least squares of logarithms); its exponent b is 1 where the cost is in proportion. Of images
of several sizes, the amount is the number of pixels.

Curves: steps (RIS and RSIS), size (all models), objects (DenseAttentionSeg in images of discs,
matching, metrics of label maps), images (evaluations from outputs to scores, beside run-length
encodings alone), processes (an image of training by one or several processes with a thread each).

Weights are random but for DenseAttentionSeg's inference: recseg://nuclei finds the discs that are
drawn, so that it looks as often as there are objects.

Examples:
    python benchmarks/growth.py --output growth.json --plot growth.png
    python benchmarks/growth.py --curves steps size --repeats 1
    python benchmarks/growth.py --curves images --images 10 100 1000 --image-side 256
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # for tests/reference
sys.path.insert(0, str(ROOT))

import recseg_d2  # noqa: F401  (comes before any detectron2 import)

# isort: split
from tabulate import tabulate

from benchmarks.growing.curve import Series, Timing, exponent_row, point_rows
from benchmarks.growing.evaluators import image_series
from benchmarks.growing.models import object_series, size_series, step_series
from benchmarks.growing.plot import AXES, draw_curves
from benchmarks.growing.processes import process_series
from recseg_d2.cli import run
from recseg_d2.cli.model_options import add_config_options, parse_arguments
from recseg_d2.errors import UserError
from recseg_d2.files import make_place, save_scores
from recseg_d2.visualization.plots import check_matplotlib, save_plot

# option -> amounts, and what they are
RANGES = {
    "steps": ([5, 10, 20, 40, 60], "steps of RIS and RSIS"),
    "sides": ([128, 256, 512, 1024], "pixels a side of an image, for inference"),
    "training_sides": ([128, 256, 384, 512], "the same for training"),
    "objects": ([1, 10, 50, 100, 200], "objects in an image"),
    "images": ([10, 100, 1000, 3000, 10000], "images evaluated"),
    "processes": ([1, 2], "processes that train together"),
}
LEAST_SIDE = 128  # pixels, where the models of sizes have room for their objects


def build_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--curves", nargs="+", choices=list(AXES), default=list(AXES), help="(default all)"
    )
    for name, (amounts, meaning) in RANGES.items():
        parser.add_argument(
            "--" + name.replace("_", "-"),
            nargs="+",
            type=int,
            default=amounts,
            metavar="N",
            help=f"{meaning} (default {' '.join(map(str, amounts))})",
        )
    parser.add_argument(
        "--image-side", type=int, default=64, metavar="N", help="of images evaluated (default 64)"
    )
    parser.add_argument(
        "--iterations", type=int, default=20, metavar="N", help="of a training (default 20)"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="calls; the median counts (default 3)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=1.0,
        metavar="S",
        help="for which the calls of a point are repeated at least, up to 15 times (default 1)",
    )
    parser.add_argument("--output", metavar="FILE", help="write all points and exponents as JSON")
    parser.add_argument("--plot", metavar="FILE", help="draw the curves (.png, .webp, ...)")
    add_config_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table."""
    args = parse_arguments(build_parser(), argv)
    check(args)
    args.opts = ["MODEL.DEVICE", "cpu", *args.opts]
    lines = [point_rows(line) for curve in args.curves for line in SERIES[curve](args)]
    exponents = [exponent_row(points) for points in lines]
    points = [point for line in lines for point in line]
    print(tabulate(exponents, headers="keys", floatfmt=".3g", missingval="-"))
    if args.output:
        save_scores(args.output, {"exponents": exponents, "points": points})
    if args.plot:
        save_plot(args.plot, partial(draw_curves, points))
    return 0


SERIES: dict[str, Callable[[argparse.Namespace], list[Series]]] = {
    "steps": lambda a: step_series(a.steps, _timing(a), a.opts),
    "size": lambda a: size_series(a.sides, a.training_sides, _timing(a), a.opts),
    "objects": lambda a: object_series(a.objects, _timing(a), a.opts),
    "images": lambda a: image_series(a.images, a.image_side, _timing(a)),
    "processes": lambda a: process_series(a.processes, a.iterations, a.opts),
}


def _timing(args: argparse.Namespace) -> Timing:
    return Timing(args.repeats, args.seconds)


def check(args: argparse.Namespace) -> None:
    """Refuse at once what would fail after the measuring.

    Raises:
        UserError: an amount is too small or not above the one before, or there is no matplotlib.
    """
    for name in ("image_side", "iterations", "repeats"):
        if getattr(args, name) < 1:
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} is {getattr(args, name)}; expected 1 or more.")
    for name in RANGES:
        amounts, least = getattr(args, name), LEAST_SIDE if name.endswith("sides") else 1
        if amounts[0] < least or any(b <= a for a, b in pairwise(amounts)):
            raise UserError(
                f"--{name.replace('_', '-')} is {' '.join(map(str, amounts))}; expected {least} or "
                "more, each above the one before."
            )
    for file in filter(None, (args.output, args.plot)):
        make_place(file)
    if args.plot:
        check_matplotlib()


if __name__ == "__main__":
    sys.exit(run(main))
