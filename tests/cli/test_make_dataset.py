from __future__ import annotations

import subprocess
import sys

import pytest
from PIL import Image

from recseg_d2 import cli
from recseg_d2.cli import make_dataset
from recseg_d2.data.label_io import read_label_map
from recseg_d2.data.rosettes import draw_label_map


def test_writes_the_images_asked_for(tmp_path, capsys):
    out = tmp_path / "d"
    argv = ["label_maps", str(out), "--images", "5", "--seed", "9", "--size", "40"]
    assert make_dataset.main(argv) == 0
    assert len(list((out / "train/images").iterdir())) == 5
    assert len(list((out / "val/labels").iterdir())) == 1
    held_out = read_label_map(next((out / "val/labels").iterdir()))
    assert (held_out == draw_label_map(9 + 5, 40)).all()
    assert "5 + 1 images of size 40" in capsys.readouterr().out


@pytest.mark.parametrize(("layout", "width"), [("cityscapes", 80), ("kitti", 132)])
def test_streets_have_the_proportions_of_the_original(tmp_path, layout, width):
    argv = [layout, str(tmp_path / "d"), "--images", "1", "--size", "40"]
    assert make_dataset.main(argv) == 0
    images = list((tmp_path / "d").rglob("*.png"))
    assert images
    assert all(Image.open(p).size == (width, 40) for p in images)


@pytest.mark.parametrize("option", ["--images=0", "--val-images=0", "--seed=-1", "--size=8"])
def test_impossible_numbers_are_one_sentence_and_exit_code_2(tmp_path, capsys, option):
    assert cli.run(make_dataset.main, ["coco", str(tmp_path / "d"), option]) == 2
    assert capsys.readouterr().err.startswith("error: found --images")


def test_as_a_user_runs_it(tmp_path, tool_env):
    command = [sys.executable, "-m", "recseg_d2.cli", "make-dataset", "cvppp"]
    command += [str(tmp_path / "d"), "--images=1"]
    subprocess.run(command, env=tool_env, check=True, capture_output=True)
    assert (tmp_path / "d/A1/plant001_label.png").is_file()
