"""``recseg report``: results and images of runs as one HTML page, which opens from the disk.

It has scores with their standard errors, training curves, the analyses, the worst and the best
images, and a viewer that steps through the objects of an image in the order of discovery.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from recseg_d2.cli.analysis_arguments import (
    add_analysis_arguments,
    add_options,
    analysis_input,
    read_options,
)
from recseg_d2.cli.model_options import load_model_config, log_to_terminal
from recseg_d2.engine.predictor import Predictor
from recseg_d2.errors import UserError
from recseg_d2.report.options import ReportOptions
from recseg_d2.report.writer import check_libraries, write_report

_EPILOG = """\
RUN is what recseg analyze takes: an output folder of training, evaluation or recseg predict, or a
file of COCO results of any tool. Several are shown side by side.

examples:
  recseg report output/leaves --output report
  recseg report found/ --val-data my/val --output report
  recseg report one/ two/ --val-data my/val --weights recseg://nuclei run/ --output report
"""


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg report``."""
    parser = argparse.ArgumentParser(
        prog="recseg report",
        description="Results and images of runs as one HTML page, which opens from the disk.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="an output folder, or a file of results"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="gets report.html")
    parser.add_argument(
        "--weights",
        nargs="+",
        default=[],
        metavar="WEIGHTS",
        help="run the models again, and show where they looked: for each RUN a checkpoint, the "
        "output folder of its training, recseg://NAME, or - to leave it out",
    )
    add_options(parser, ReportOptions)
    add_analysis_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Analyse, collect the images, write the page."""
    args = build_parser().parse_args(argv)
    log_to_terminal()
    check_libraries()
    options = read_options(args, ReportOptions)
    if args.weights and len(args.weights) != len(args.runs):
        raise UserError(
            f"--weights names {len(args.weights)} of {len(args.runs)} runs; name one for each, in "
            "their order, and - for a run without."
        )
    predictors = [None if weights == "-" else _predictor(weights) for weights in args.weights]
    path = write_report(args.output, analysis_input(args.runs, args), options, predictors)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, open it in a browser")
    return 0


def _predictor(weights: str) -> Predictor:
    """The model of some weights, with the config that they bring, or that lies beside them."""
    asked = argparse.Namespace(weights=weights, config_file=None, opts=[], score_thresh=None)
    return Predictor(load_model_config(asked))
