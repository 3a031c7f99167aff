"""The commands of the page on own images run on small data of each kind, one after another.

Left out: trainings on several GPUs. Trainings are short, and go on from no large model.
"""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
import tifffile
from pages import SHORT_DENSE, commands
from PIL import Image

from recseg_d2 import cli
from recseg_d2.cli.__main__ import TOOLS
from recseg_d2.cli.convert import main as convert
from recseg_d2.data.synthetic.layouts import LAYOUTS
from recseg_d2.data.synthetic.rosettes import draw_rosette

pytestmark = pytest.mark.slow
SIZE = 48


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with what the page's commands name."""
    monkeypatch.chdir(tmp_path)
    for name in ("nuclei", "cells", "leaves"):
        for part, seeds in (("train", [0, 1, 2]), ("val", [3])):
            LAYOUTS["label_maps"](tmp_path / name, part, seeds, SIZE)
    (tmp_path / "images").mkdir()
    Image.fromarray(draw_rosette(4, SIZE)[0]).save(tmp_path / "images" / "a.png")
    write_deep(tmp_path / "confocal" / "train")
    write_streets(tmp_path)
    return tmp_path


def write_deep(folder):
    """Grey images of 16 bits, with label maps."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for seed in range(3):
        image, labels = draw_rosette(seed, SIZE)
        grey = image[..., 1].astype(np.uint16) * 200
        tifffile.imwrite(folder / "images" / f"{seed}.tif", grey, photometric="minisblack")
        tifffile.imwrite(folder / "labels" / f"{seed}.tif", labels)


def write_streets(folder):
    """Two COCO files whose objects are of three classes."""
    for part in ("train", "val"):
        place = folder / f"from_{part}"
        assert convert([str(folder / "leaves" / part), str(place), "--to", "coco"]) == 0
        (file,) = (place / "annotations").glob("*.json")
        contents = json.loads(file.read_text())
        contents["categories"] = [{"id": n, "name": f"kind {n}"} for n in (1, 2, 3)]
        for number, annotation in enumerate(contents["annotations"]):
            annotation["category_id"] = 1 + number % 3
        target = folder / "street" / "annotations" / f"{part}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(contents))
        (images,) = (path for path in place.iterdir() if path.name != "annotations")
        images.rename(folder / "street" / images.name) if part == "train" else [
            path.rename(folder / "street" / images.name / path.name) for path in images.iterdir()
        ]


def short(words):
    """A command that takes seconds."""
    if "--minutes" in words:
        at = words.index("--minutes")
        words = [*words[:at], *words[at + 2 :]]
    if words[0] != "train":
        return words
    if "--weights" in words:
        return [*words, "SOLVER.MAX_ITER", "1", "TEST.NUM_PICTURES", "1"]
    # weights of the extra "pretrained" need not be there
    return [*words, *SHORT_DENSE, "MODEL.WEIGHTS", ""]


def test_the_commands_run(place, root, capsys):
    pytest.importorskip("skimage")
    pytest.importorskip("roifile")
    ran = set()
    for words in commands(root / "docs" / "own_images.md"):
        if "--num-gpus" in words:
            continue
        tool = importlib.import_module(f"recseg_d2.cli.{TOOLS[words[0]][0]}")
        code = cli.run(tool.main, short(words)[1:])
        assert code == 0, f"{words}\n{capsys.readouterr().err}"
        ran.add(words[0])
    assert {"train", "predict", "evaluate", "analyze", "convert", "check-dataset"} <= ran
    assert (place / "found" / "imagej").is_dir()
    assert "uint16" in (place / "output" / "confocal" / "plan.txt").read_text()
