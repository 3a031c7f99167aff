"""Arguments of the tools that analyse results: the truth, and the options of analyses."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from recseg_d2.analysis.options import AnalysisOptions
from recseg_d2.analysis.predictions import AnalysisInput
from recseg_d2.analysis.run_folder import open_runs
from recseg_d2.cli.own_data import FOLDER_VAL, add_own_data_options, register_given

Options = TypeVar("Options")


def add_analysis_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the ground truth, how it is read, and what ``AnalysisOptions`` declares."""
    truth = parser.add_mutually_exclusive_group()
    truth.add_argument("--dataset", default="", metavar="NAME", help="a registered data set")
    truth.add_argument(
        "--val-data",
        metavar="PATH",
        help="what was evaluated on by --val-data, with the same options; or what was predicted",
    )
    add_own_data_options(parser)
    add_options(parser, AnalysisOptions)


def add_options(parser: argparse.ArgumentParser, kind: Any) -> None:
    """Add what a dataclass of options declares by ``analysis.options.option``."""
    for choice in (field for field in fields(kind) if field.metadata):
        option, default = "--" + choice.name.replace("_", "-"), choice.default
        if isinstance(default, bool):
            parser.add_argument(option, action="store_true", help=choice.metadata["help"])
        elif isinstance(default, tuple):
            parser.add_argument(option, nargs="+", default=default, **choice.metadata)
        else:
            shown = f" (default {default})" if default else ""
            text = choice.metadata["help"] + shown
            more = {**choice.metadata, "help": text, "type": type(default)}
            parser.add_argument(option, default=default, **more)


def read_options(args: argparse.Namespace, kind: type[Options], **others: Any) -> Options:
    """The options of ``add_options``, and others that the tool knows.

    Raises:
        UserError: a value is out of its range.
    """
    names = [field.name for field in fields(kind) if field.metadata]  # type: ignore[arg-type]
    given = {name: getattr(args, name) for name in names}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return kind(**{**given, **lists, **others})


def analysis_input(results: Sequence[str], args: argparse.Namespace) -> AnalysisInput:
    """What the analyses take; data that --val-data names are registered.

    Raises:
        UserError: a folder is not there, an option is out of its range, or the data cannot be read.
    """
    dataset = FOLDER_VAL if args.val_data is not None else args.dataset
    options = read_options(args, AnalysisOptions, dataset=dataset)
    runs = open_runs(results)
    if args.val_data is not None:
        register_given(FOLDER_VAL, args.val_data, args)
    return AnalysisInput(runs, options)
