"""`recseg evaluate`: scores the label maps, or the proposals, of any method."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tabulate import tabulate

from recseg_d2.cli.own_data import add_ignore_value
from recseg_d2.data.catalog import check_registered
from recseg_d2.errors import UserError
from recseg_d2.evaluation.folders import score_folders
from recseg_d2.evaluation.proposal_results import score_proposals
from recseg_d2.evaluation.segment_proposal import CURVE_IOUS, recall_numbers, recall_table
from recseg_d2.files import make_place, save_scores
from recseg_d2.metrics import DEFAULT_METRICS, METRICS, ImageScores
from recseg_d2.metrics.average_recall import LIMITS
from recseg_d2.visualization.plots import draw_recall_curves, save_plot

_DESCRIPTION = """\
Score predicted label maps against true ones. A label map is a PNG, TIFF or BMP in which every
object has its own number (8- or 16-bit grey, palette) or colour and background is 0 / black.
Files pair by stem; an ending _label is optional on both sides.

Or score proposals, files of COCO results with masks or boxes, by average recall on a data set.
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
    parser.add_argument("--pred", metavar="DIR", help="folder of predictions")
    parser.add_argument("--gt", metavar="DIR", help="folder of true label maps")
    parser.add_argument(
        "--proposals",
        nargs="+",
        metavar="PATH",
        help="files of COCO results, or folders of them, each a method's",
    )
    parser.add_argument("--dataset", metavar="NAME", help="registered data set of --proposals")
    parser.add_argument(
        "--plot", type=Path, metavar="PNG", help="recall of --proposals against IoU, a line each"
    )
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
    add_ignore_value(parser, "a value of true label maps where nothing is scored")
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
    for place in filter(None, (args.json, args.plot)):
        make_place(place)  # scoring may take a while
    if args.proposals is not None:
        return _evaluate_proposals(args)
    if args.pred is None or args.gt is None:
        raise UserError("expected --pred DIR and --gt DIR, or --proposals PATH and --dataset NAME.")
    scores = score_folders(args.pred, args.gt, args.metrics, args.allow_extra, args.ignore_value)
    print(format_scores(scores))
    if args.json is not None:
        save_scores(args.json, scores.summary())
        print(f"scores of each image: {args.json}")
    return 0


def _evaluate_proposals(args: argparse.Namespace) -> int:
    if args.dataset is None:
        raise UserError("--proposals needs --dataset NAME, whose objects they are to cover.")
    check_registered(args.dataset, "--dataset")
    found = {place: score_proposals(place, args.dataset) for place in args.proposals}
    for place, recall in found.items():
        print(f"\n{place}: {len(recall.images)} images\n{recall_table(recall)}")
    if args.json is not None:
        save_scores(args.json, {place: recall_numbers(r) for place, r in found.items()})
        print(f"all numbers: {args.json}")
    if args.plot is not None:
        names = {place: Path(place).stem for place in found}
        distinct = len(set(names.values())) == len(names)
        curves = {
            names[place] if distinct else place: recall.curve(CURVE_IOUS)
            for place, recall in found.items()
        }
        titled = {
            f"{limit} proposals": {label: curve[k] for label, curve in curves.items()}
            for k, limit in enumerate(LIMITS)
        }
        save_plot(args.plot, partial(draw_recall_curves, CURVE_IOUS, titled))
        print(f"recall against IoU: {args.plot}")
    return 0


def format_scores(scores: ImageScores) -> str:
    """A table of the statistics over images, with the number of images above it."""
    table = tabulate(scores.rows(), headers="keys", floatfmt=".2f")
    return f"{len(scores.images)} images\n{table}"
