"""``recseg app``: a page in the browser on which a model's objects are found and corrected.

The page is for this machine alone, unless --host and a password let others in. Corrected images
become a data set that ``recseg train --train-data`` takes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from recseg_d2.app.finder import Finder
from recseg_d2.app.options import USER, AppOptions
from recseg_d2.app.server import check_libraries, launch
from recseg_d2.cli.model_options import (
    add_model_arguments,
    load_model_config,
    log_to_terminal,
    parse_arguments,
)
from recseg_d2.engine.stopping import listening
from recseg_d2.errors import Stopped

PASSWORD = "RECSEG_APP_PASSWORD"  # of the environment, which other users of a machine do not see

_EPILOG = """\
examples:
  recseg app --weights recseg://nuclei --corrections mine
  recseg train --train-data mine --weights recseg://nuclei OUTPUT_DIR output/mine
"""


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg app``."""
    parser = argparse.ArgumentParser(
        prog="recseg app",
        description="A page in the browser: find objects, correct them by clicks, save them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--corrections",
        default=str(AppOptions.corrections),
        metavar="DIR",
        help="data set that saved images go to, which recseg train takes (default: %(default)s)",
    )
    parser.add_argument(
        "--host",
        default=AppOptions.host,
        metavar="ADDRESS",
        help="address to listen at; other than this machine's own (default: %(default)s) only "
        "with a password",
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help="port to listen at; default: a free one from 7860 on"
    )
    parser.add_argument(
        "--password",
        metavar="TEXT",
        help=f"what visitors have to give, with the name {USER}; default: {PASSWORD} of the "
        "environment, which is safer on a machine with other users",
    )
    parser.add_argument(
        "--max-megabytes",
        type=float,
        default=AppOptions.max_megabytes,
        metavar="X",
        help="size of an uploaded file, at most (default: %(default)s)",
    )
    add_model_arguments(parser, batches=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Load the model and serve the page until it is stopped."""
    args = parse_arguments(build_parser(), argv)
    log_to_terminal()
    check_libraries()
    password = os.environ.get(PASSWORD, "") if args.password is None else args.password
    options = AppOptions(args.host, args.port, password, args.max_megabytes, Path(args.corrections))
    options.check()
    finder = Finder(load_model_config(args))
    with listening(), suppress(Stopped):  # a signal is how a server ends; what it stored goes, too
        launch(finder, options)
    return 0
