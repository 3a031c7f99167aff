"""The README's commands work, run as they stand but for a few options that make them short."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks, lines_of, shortened
from PIL import Image

from recseg_d2.cli.__main__ import TOOLS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def as_run(line):
    """The command as a list, with this interpreter, and short where it trains."""
    words = shlex.split(line, comments=True)
    assert words[0] == "recseg"
    return [sys.executable, "-m", "recseg_d2.cli", *shortened(words[1:])]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to work in."""
    return tmp_path_factory.mktemp("readme")


def run(words, place, tool_env):
    env = {**tool_env, "DETECTRON2_DATASETS": str(place / "datasets")}
    result = subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{shlex.join(words)}\n{result.stdout}\n{result.stderr}"


@pytest.mark.slow
def test_commands_and_python_run_in_the_order_of_the_page(place, tool_env):
    pytest.importorskip("skimage")
    make = [sys.executable, "-m", "recseg_d2.cli", "make-dataset", "cvppp", "datasets/cvppp"]
    run([*make, "--images", "10", "--size", "48"], place, tool_env)
    (place / "images").mkdir()
    Image.new("RGB", (48, 40)).save(place / "images" / "mine.png")
    make = [sys.executable, "-m", "recseg_d2.cli", "make-dataset", "label_maps", "my"]
    run([*make, "--images", "4", "--size", "48"], place, tool_env)
    for language, text in blocks(README):
        if language == "bash":
            for line in lines_of(text):
                run(as_run(line), place, tool_env)
        elif language == "python":
            code = re.sub(r"rosette_\d+\.png", first_image(place), text)
            run([sys.executable, "-c", "import recseg_d2\n" + code], place, tool_env)
    assert (place / "output/leaves/found/counts.csv").exists()
    assert (place / "output/leaves/scores.json").exists()


def first_image(place):
    return sorted(os.listdir(place / "leaves/val/images"))[0]


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    first = next(text for language, text in blocks(README) if not language).split("\n")
    commands = [line.split()[1] for line in first if line.startswith("make ")]
    assert commands == ["demo", "test"]
    for target in commands:
        assert re.search(rf"^{target}:", makefile, re.M)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("verb", TOOLS)
def test_every_verb_has_help(verb, capsys):
    tool = importlib.import_module(f"recseg_d2.cli.{TOOLS[verb][0]}")
    with pytest.raises(SystemExit) as stopped:
        tool.main(["--help"])
    assert stopped.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_links_and_paths_exist():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
    for path in re.findall(r"`(recseg_d2/[\w/]+\.py)`", README):
        assert (ROOT / path).exists(), path
