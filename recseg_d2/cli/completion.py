"""``recseg completion``: a script by which a shell completes the command's tools and options.

Examples:
    recseg completion bash > ~/.local/share/bash-completion/completions/recseg
    recseg completion zsh > "${fpath[1]}/_recseg"
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping, Sequence

from recseg_d2.errors import UserError

SHELLS = ("bash", "zsh", "tcsh")
# What the tools call an argument that is a file or a folder.
_PATHS = {"DIR", "FILE", "FILE_OR_FOLDER", "FROM", "OUT", "PATH", "PNG", "RESULTS", "TO"}


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg completion``."""
    parser = argparse.ArgumentParser(
        prog="recseg completion",
        description="Print a script that completes tools, options and files of recseg.",
        epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to read the script")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Print the script."""
    args = build_parser().parse_args(argv)
    try:
        import shtab
    except ImportError as error:
        raise UserError(
            "completion needs shtab; run `pip install 'recseg_d2[completion]'`."
        ) from error
    from recseg_d2.cli.__main__ import TOOLS

    parser = whole_parser(TOOLS)
    for action in _actions(parser):
        if action.metavar in _PATHS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, args.shell))
    return 0


def whole_parser(tools: Mapping[str, tuple[str, str]]) -> argparse.ArgumentParser:
    """All tools' arguments behind their names, as one parser.

    Args:
        tools: by name: the tool's module in this folder, and what it does.
    """
    parser = argparse.ArgumentParser(prog="recseg")
    parser.add_argument("--version", action="store_true", help="versions of what it runs on")
    subparsers = parser.add_subparsers(metavar="tool")
    for name, (module, what) in tools.items():
        own = importlib.import_module(f"recseg_d2.cli.{module}").build_parser()
        subparsers.add_parser(name, help=what, parents=[own], add_help=False)
    return parser


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The actions of a parser and of the parsers of its tools."""
    found = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [one for own in action.choices.values() for one in _actions(own)]
    return found
