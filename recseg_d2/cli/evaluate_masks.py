"""`recseg evaluate`: scores the label maps of any method."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from recseg_d2.evaluation.folders import score_folders
from recseg_d2.files import make_place, save_scores
from recseg_d2.metrics import DEFAULT_METRICS, METRICS, ImageScores

_DESCRIPTION = """\
Score predicted label maps against true ones. A label map is a PNG, TIFF or BMP in which every
object has its own number (8- or 16-bit grey, palette) or colour and background is 0 / black.
Files pair by stem; an ending _label is optional on both sides.
"""

_EPILOG = """\
metrics, of each image unless they are pooled over all of them:
{metrics}

A missing prediction counts as an empty one, a prediction of another size is resized; both warn.
Shares are in 0..100; mean and sample standard deviation run over images. Where a metric has no
value (null), the image is left out of its mean. An image without any object on either side scores
SBD 0 and has no FGBGDice: these are the leaf segmentation challenge's rules.
"""


def build_parser() -> argparse.ArgumentParser:
    """The tool's arguments."""
    parser = argparse.ArgumentParser(
        prog="recseg evaluate",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(metrics="\n".join(_described())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pred", required=True, metavar="DIR", help="folder of predictions")
    parser.add_argument("--gt", required=True, metavar="DIR", help="folder of true label maps")
    parser.add_argument(
        "--metrics",
        nargs="+",
        default=list(DEFAULT_METRICS),
        metavar="NAME",
        help=f"any of {', '.join(METRICS)} (default: {' '.join(DEFAULT_METRICS)})",
    )
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help="file for scores of each image, mean and std"
    )
    parser.add_argument(
        "--allow-extra", action="store_true", help="ignore predictions without ground truth"
    )
    return parser


def _described() -> list[str]:
    """Range, direction and meaning of each number of each metric, from the registry."""
    lines = []
    for name, group in METRICS.items():
        for one in group:
            pooled = "" if one.sums is None else ", pooled"
            lines.append(f"  {name:12s} {one.key} ({one.meaning}{pooled})\n      {one.summary}")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Score, print a table, write the JSON file."""
    args = build_parser().parse_args(argv)
    # warnings name files that were resized or missing: the table alone would hide them
    logging.basicConfig(format="%(levelname)s: %(message)s")
    if args.json is not None:
        make_place(args.json)  # scoring may take a while
    scores = score_folders(args.pred, args.gt, args.metrics, args.allow_extra)
    print(format_scores(scores))
    if args.json is not None:
        save_scores(args.json, scores.summary())
        print(f"scores of each image: {args.json}")
    return 0


def format_scores(scores: ImageScores) -> str:
    """A table of the statistics over images, with the number of images above it."""
    table = tabulate(scores.rows(), headers="keys", floatfmt=".2f")
    return f"{len(scores.images)} images\n{table}"
