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
from PIL import Image

from recseg_d2.cli.__main__ import TOOLS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

SHORT_MODEL = [
    *("MODEL.BACKBONE.NAME", "build_small_encoder_backbone", "MODEL.WEIGHTS", ""),
    *("MODEL.SMALL_ENCODER.WIDTHS", "[4,6]", "MODEL.RSIS.HIDDEN_WIDTHS", "[6,4]"),
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", "(32,32)", "SOLVER.PHASES", "[]", "SOLVER.MAX_ITER", "2"),
    *("SOLVER.IMS_PER_BATCH", "2", "MODEL.SEQUENTIAL.TEST.SCORE_THRESH", "0.0"),
]
SHORT_DENSE = [
    *("MODEL.RESIDUAL_ENCODER.WIDTHS", "(4,4,4)", "INPUT.SIMILARITY_CROP.SIZE", "32"),
    *("SOLVER.MAX_ITER", "2", "SOLVER.IMS_PER_BATCH", "2", "TEST.NUM_PICTURES", "1"),
    *("MODEL.DENSE_ATTENTION.TEST.MAX_OBJECTS", "3", "SOLVER.PHASES", "[]"),
]


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.S | re.M)
    return [text for name, text in found if name == language]


def shortened(line):
    """The command as a list, with this interpreter, and short where it trains."""
    words = shlex.split(line, comments=True)
    if words[0] == "recseg":
        words = [sys.executable, "-m", "recseg_d2.cli", *words[1:]]
    if "make-dataset" in words:
        words += ["--images", "4", "--size", "48"]
    if "train" in words:
        words += SHORT_MODEL if "--config-file" in words else SHORT_DENSE
    return words


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
    for language, text in re.findall(r"```(bash|python)\n(.*?)```", README, re.S):
        if language == "bash":
            for line in text.strip().splitlines():
                run(shortened(line), place, tool_env)
        else:
            code = re.sub(r"rosette_\d+\.png", first_image(place), text)
            run([sys.executable, "-c", "import recseg_d2\n" + code], place, tool_env)
    assert (place / "output/leaves/found/counts.csv").exists()
    assert (place / "output/leaves/scores.json").exists()


def first_image(place):
    return sorted(os.listdir(place / "leaves/val/images"))[0]


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    first = blocks("")[0].split("\n")
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
