"""The scripts, read by the shells that are there."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from recseg_d2 import cli
from recseg_d2.cli import completion
from recseg_d2.cli.__main__ import TOOLS
from recseg_d2.data.formats.data_sets import DATA_SET_FORMATS

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_shtab_recseg
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """What bash offers for the last word of a command line."""
    shtab = pytest.importorskip("shtab", reason="shtab is not installed: recseg_d2[completion]")
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    script = tmp_path_factory.mktemp("completion") / "recseg.bash"
    script.write_text(shtab.complete(completion.whole_parser(TOOLS), "bash"))

    def ask(*words):
        command = ["bash", "-c", ASK, "ask", str(script), *words]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not found.stderr
        return found.stdout.split()

    return ask


def test_tools_options_and_choices(complete):
    assert complete("recseg", "tra") == ["train"]
    assert set(TOOLS) <= set(complete("recseg", ""))
    assert complete("recseg", "train", "--train-d") == ["--train-data"]
    assert complete("recseg", "convert", "a", "b", "--to", "") == list(DATA_SET_FORMATS)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_has_a_script(shell, capsys):
    pytest.importorskip("shtab", reason="shtab is not installed: recseg_d2[completion]")
    assert completion.main([shell]) == 0
    out = capsys.readouterr().out
    assert all(tool in out for tool in ("check-dataset", "predict", "--train-data"))


def test_a_missing_library_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.run(completion.main, ["bash"]) == 2
    assert "pip install 'recseg_d2[completion]'" in capsys.readouterr().err
