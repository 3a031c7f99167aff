"""``recseg analyze``: what results show beyond their scores.

Each analysis writes tables (CSV and JSON) and plots (PNG).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from recseg_d2.analysis.catalog import ANALYSES, run_analyses, summary_of
from recseg_d2.analysis.result import AnalysisResult
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.cli.analysis_arguments import add_analysis_arguments, analysis_input
from recseg_d2.cli.model_options import log_to_terminal
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder
from recseg_d2.visualization.plots import check_matplotlib

ALL = "all"
ROWS_PRINTED = 60  # longer tables are in the files alone

_EPILOG = """\
RESULTS are output folders of training, evaluation (unless TEST.SAVE_PREDICTIONS is False) or recseg
predict, or files of COCO results of any tool. The ground truth is that of the data set that they
were evaluated on; for predictions of single images it is named by --dataset or --val-data.

examples:
  recseg analyze output/rsis --what ordering
  recseg analyze output/rsis output/ris --what all --output analysis
  recseg analyze output/mine found/ --what errors --val-data my/val
"""


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg analyze``."""
    parser = argparse.ArgumentParser(
        prog="recseg analyze",
        description="Analyse results, several side by side:\n" + "\n".join(_described()),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results", nargs="+", metavar="RESULTS", help="an output folder, or a file of results"
    )
    parser.add_argument("--what", choices=(*ANALYSES, ALL), default=ALL, help="default: all")
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="for tables and plots; default: analysis/ in the first RESULTS",
    )
    parser.add_argument("--no-plots", action="store_true", help="write tables alone")
    add_analysis_arguments(parser)
    return parser


def _described() -> list[str]:
    """A line for each analysis, from its docstring."""
    lines = [f"  {name:12s} {summary_of(name)}" for name in ANALYSES]
    return [*lines, f"  {ALL:12s} Whatever the results allow; names what it leaves out."]


def main(argv: Sequence[str] | None = None) -> int:
    """Analyse, write, print the tables."""
    args = build_parser().parse_args(argv)
    log_to_terminal()
    data = analysis_input(args.results, args)
    if not args.no_plots:
        check_matplotlib()
    output = make_folder(args.output or _beside(Path(args.results[0])))
    names = list(ANALYSES) if args.what == ALL else [args.what]
    results = dict(run_analyses(names, data))
    if all(isinstance(result, MissingResultsError) for result in results.values()):
        raise UserError("; ".join(f"{name}: {result}" for name, result in results.items()))
    for name, result in results.items():
        if isinstance(result, AnalysisResult):
            show(name, result)
            paths = result.write(output, with_plots=not args.no_plots)
            print("\n".join(map(str, paths)))
        else:
            print(f"\n== {name}: left out. {result}")
    return 0


def _beside(results: Path) -> Path:
    """Where tables and plots go by default."""
    return (results if results.is_dir() else results.parent) / "analysis"


def show(name: str, result: AnalysisResult) -> None:
    """Print an analysis: its short tables, and what it leaves out."""
    print(f"\n== {name}")
    for title, rows in result.tables.items():
        if len(rows) > ROWS_PRINTED:
            print(f"\n{title}: {len(rows)} rows, see the files")
        elif rows:
            print(f"\n{title}")
            print(tabulate(rows, headers="keys", floatfmt=".3f"))
    for note in result.notes:
        print(f"note: {note}")
