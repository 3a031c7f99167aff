"""The README's commands work, run as they stand but for a few options that make them short."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
from pages import blocks, lines_of, shortened
from PIL import Image
from warm_python import run_python

from recseg_d2.cli.__main__ import TOOLS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to work in."""
    return tmp_path_factory.mktemp("readme")


def of_block(language, text):
    """What ``run_blocks`` takes; trainings are short, and val has another image."""
    if language == "python":
        first = r'str(min(__import__("pathlib").Path("\1").iterdir()))'
        yield ["python", re.sub(r'"(leaves/val/images)/rosette_\d+\.png"', first, text)]
    elif language == "bash":
        for line in lines_of(text):
            words = shlex.split(line, comments=True)
            if words[0] != "pip" and words[:2] != ["recseg", "app"]:  # which runs until Ctrl-C
                assert words[0] == "recseg"
                yield ["recseg", shortened(words[1:])]


@pytest.mark.slow
def test_commands_and_python_run_in_the_order_of_the_page(place, tool_env):
    pytest.importorskip("skimage")
    make = ["recseg", ["make-dataset", "cvppp", "datasets/cvppp", "--images", "10", "--size", "48"]]
    own = ["recseg", ["make-dataset", "label_maps", "my", "--images", "4", "--size", "48"]]
    corrected = ["python", "import shutil; shutil.copytree('my/train', 'mine')"]
    (place / "images").mkdir()
    Image.new("RGB", (48, 40)).save(place / "images" / "mine.png")
    work = [make, own, corrected]
    for language, text in blocks(README):
        work += of_block(language, text)
    assert len(work) > 10
    (place / "blocks.json").write_text(json.dumps(work))
    env = {**tool_env, "DETECTRON2_DATASETS": str(place / "datasets")}
    result = run_python([ROOT / "tests" / "run_blocks.py", "blocks.json"], env, place)
    assert result.returncode == 0, f"{result.stdout[-5000:]}\n{result.stderr[-5000:]}"
    assert (place / "output/leaves/found/counts.csv").exists()
    assert (place / "output/leaves/scores.json").exists()
    assert list((place / "found/mine/imagej").glob("*.zip"))


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
