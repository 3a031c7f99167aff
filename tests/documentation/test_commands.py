"""Every command of every page is one that the tools take, with config keys that there are."""

from __future__ import annotations

import importlib
import shlex

import pytest
from pages import ROOT, commands, mentions, pages

from recseg_d2.cli.__main__ import TOOLS
from recseg_d2.cli.model_options import parse_arguments
from recseg_d2.config import CONFIG_FOLDERS, get_recseg_cfg

MENTIONED = [
    pytest.param(words, id=f"{path.relative_to(ROOT).as_posix()}-{number}")
    for path in pages()
    for number, words in enumerate(mentions(path))
]
GIVEN = [
    pytest.param(words, id=f"{path.relative_to(ROOT).as_posix()}-{number}")
    for path in pages()
    for number, words in enumerate(commands(path))
]


@pytest.mark.parametrize("words", GIVEN)
def test_the_tool_takes_the_command(words, capsys):
    tool = words[0]
    if tool == "--version":
        assert len(words) == 1
        return
    assert tool in TOOLS
    parser = importlib.import_module(f"recseg_d2.cli.{TOOLS[tool][0]}").build_parser()
    # keys come as the tools take them: out of the options first, or behind them
    parse = parse_arguments if tool in ("train", "export", "predict", "visualize") else None
    try:
        args = parse(parser, words[1:]) if parse else parser.parse_args(words[1:])
    except SystemExit:
        pytest.fail(f"recseg {shlex.join(words)}\n{capsys.readouterr().err}")
    check_config(vars(args))


def check_config(args):
    """A config that is named is there, and keys and values are the config's."""
    name, pairs = args.get("config_file"), args.get("opts") or []
    if name:
        places = (*CONFIG_FOLDERS, ROOT)
        assert any((folder / name).is_file() for folder in places), name
    get_recseg_cfg().merge_from_list(list(pairs))


@pytest.mark.parametrize("words", MENTIONED)
def test_the_tool_has_the_options_that_a_sentence_names(words):
    assert words[0] in {*TOOLS, "--version"}
    if words[0] in TOOLS:
        parser = importlib.import_module(f"recseg_d2.cli.{TOOLS[words[0]][0]}").build_parser()
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert named <= parser._option_string_actions.keys()


def test_there_are_commands_of_most_tools():
    named = {param.values[0][0] for param in GIVEN}
    assert {"train", "predict", "evaluate", "convert", "baseline", "doctor"} <= named
