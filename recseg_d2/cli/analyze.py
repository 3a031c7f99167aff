"""``recseg analyze``: what results show beyond their scores.

Each analysis writes tables (CSV and JSON) and plots (PNG).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from recseg_d2.analysis.catalog import ANALYSES, run_analyses
from recseg_d2.analysis.report import Report, check_matplotlib
from recseg_d2.analysis.run_folder import MissingResultsError, open_runs
from recseg_d2.analysis.subjects import PAPER_MIN_PAIRS, Options
from recseg_d2.cli.model_options import log_to_terminal
from recseg_d2.cli.own_data import FOLDER_VAL, add_own_data_options, register_given
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder
from recseg_d2.metrics.error_diagnosis import MATCH_IOU

ALL = "all"
ROWS_PRINTED = 60  # longer tables are in the files alone

_DESCRIPTION = """\
Analyse the output folders of training or evaluation, several side by side.
  ordering     order of discovery: right to left, bottom to top, large to small (Kendall's tau,
               consecutive pairs by category)
  errors       false positives: localisation, background, duplicates, class; missed objects
  sizes        missed objects and IoU against the objects' size
  steps        IoU and hits against the step that found the object
  activations  order of discovery against the encoder's activations, before and after training
  proposals    average recall, and recall against IoU, of mask proposals
  curves       losses and scores over the iterations
  all          whatever the results allow; names what it leaves out
"""

_EPILOG = """\
Predictions are read from inference/<data set>/predictions_<data set>.json.gz, which evaluations
write unless TEST.SAVE_PREDICTIONS is False; the ground truth is that of the data set of that name.

examples:
  recseg analyze output/rsis --what ordering
  recseg analyze output/rsis output/ris --what all --output analysis
  recseg analyze output/mine --what errors --val-data my/val
"""


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg analyze``."""
    parser = argparse.ArgumentParser(
        prog="recseg analyze",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results", nargs="+", metavar="RESULTS", help="an OUTPUT_DIR of training or evaluation"
    )
    parser.add_argument("--what", choices=(*ANALYSES, ALL), default=ALL, help="default: all")
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="for tables and plots; default: analysis/ in the first RESULTS",
    )
    parser.add_argument("--no-plots", action="store_true", help="write tables alone")
    _add_data_arguments(parser)
    _add_choices(parser)
    return parser


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--val-data",
        metavar="PATH",
        help="what was evaluated on by --val-data, with the same options",
    )
    add_own_data_options(parser)


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--iou-thresh",
        type=float,
        default=MATCH_IOU,
        metavar="X",
        help=f"IoU from which an object counts as found (default {MATCH_IOU})",
    )
    parser.add_argument(
        "--min-score", type=float, default=0.0, metavar="X", help="leave out what scores below"
    )
    parser.add_argument(
        "--class-agnostic", action="store_true", help="take all objects to be of one class"
    )
    parser.add_argument(
        "--min-pairs",
        type=int,
        default=PAPER_MIN_PAIRS,
        metavar="N",
        help="ordering: leave out category pairs that follow each other less often "
        f"(default {PAPER_MIN_PAIRS})",
    )
    parser.add_argument(
        "--before",
        default="",
        metavar="FILE",
        help="activations: weights of before training; default: those that the run began with",
    )
    parser.add_argument(
        "--keys",
        nargs="+",
        default=[],
        metavar="NAME",
        help="curves: keys of metrics.json; default: all losses and scores",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Analyse, write, print the tables."""
    args = build_parser().parse_args(argv)
    log_to_terminal()
    options = options_from(args)
    runs = open_runs(args.results)
    if args.val_data is not None:
        register_given(FOLDER_VAL, args.val_data, args)
    if not args.no_plots:
        check_matplotlib()
    output = make_folder(args.output or Path(args.results[0]) / "analysis")
    names = ANALYSES if args.what == ALL else (args.what,)
    results = dict(run_analyses(names, runs, options))
    if all(isinstance(result, MissingResultsError) for result in results.values()):
        raise UserError("; ".join(f"{name}: {result}" for name, result in results.items()))
    for name, result in results.items():
        if isinstance(result, Report):
            show(name, result)
            paths = result.write(output, with_plots=not args.no_plots)
            print("\n".join(map(str, paths)))
        else:
            print(f"\n== {name}: left out. {result}")
    return 0


def options_from(args: argparse.Namespace) -> Options:
    """The analyses' options.

    Raises:
        UserError: a number is out of its range.
    """
    if not 0 < args.iou_thresh <= 1:
        raise UserError(f"--iou-thresh is {args.iou_thresh}; expected more than 0, 1 at most.")
    if not 0 <= args.min_score <= 1:
        raise UserError(f"--min-score is {args.min_score}; expected 0 to 1.")
    if args.min_pairs < 1:
        raise UserError(f"--min-pairs is {args.min_pairs}; expected 1 or more.")
    return Options(
        min_pairs=args.min_pairs,
        min_score=args.min_score,
        threshold=args.iou_thresh,
        class_agnostic=args.class_agnostic,
        before=args.before,
        keys=tuple(args.keys),
    )


def show(name: str, report: Report) -> None:
    """Print an analysis: its short tables, and what it leaves out."""
    print(f"\n== {name}")
    for title, rows in report.tables.items():
        if len(rows) > ROWS_PRINTED:
            print(f"\n{title}: {len(rows)} rows, see the files")
        elif rows:
            print(f"\n{title}")
            print(tabulate(rows, headers="keys", floatfmt=".3f"))
    for note in report.notes:
        print(f"note: {note}")
