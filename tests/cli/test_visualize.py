"""``recseg visualize``, and the figures of data sets that it shares with training."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.structures import Boxes, BoxMode, Instances
from PIL import Image

from recseg_d2.cli import run
from recseg_d2.cli.visualize import main, spread
from recseg_d2.visualization.dataset import draw_dataset_predictions, image_name


def visualize(trained, output, *more: str) -> int:
    return run(main, ["--weights", str(trained), "--output", str(output), *more])


@pytest.fixture
def dataset(images):
    """A registered data set of the three images; "two" has a polygon, the others nothing."""
    polygon = {
        "bbox": [2, 1, 4, 2],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": 0,
        "segmentation": [[2, 1, 6, 1, 6, 3, 2, 3]],
    }
    sizes = {"none": (6, 8), "three": (5, 5), "two": (6, 8)}
    dicts = [
        {
            "file_name": str(images / f"{name}.png"),
            "image_id": name,
            "height": height,
            "width": width,
            "annotations": [polygon] if name == "two" else [],
        }
        for name, (height, width) in sizes.items()
    ]
    DatasetCatalog.register("test_visualize", lambda: dicts)
    yield "test_visualize"
    DatasetCatalog.remove("test_visualize")


def test_a_data_set_gives_a_montage_and_sequences(trained, dataset, tmp_path, capsys):
    out = tmp_path / "out"
    assert visualize(trained, out, "--dataset", dataset, "--batch-size", "2", "--side", "48") == 0
    names = ["montage.png", "sequence_none.png", "sequence_three.png", "sequence_two.png"]
    assert sorted(p.name for p in out.iterdir()) == names
    assert capsys.readouterr().out.split() == [str(out / name) for name in names]
    width, height = Image.open(out / "montage.png").size
    assert width > 3 * 48
    assert height > 48 + 2 * 36
    assert len(np.unique(np.asarray(Image.open(out / "montage.png")))) > 10


def test_num_takes_images_from_the_whole_set(trained, dataset, tmp_path):
    out = tmp_path / "out"
    assert visualize(trained, out, "--dataset", dataset, "--num", "2", "--per-row", "2") == 0
    assert sorted(p.stem for p in out.glob("seq*")) == ["sequence_none", "sequence_two"]


def test_files_without_ground_truth(trained, images, tmp_path):
    out = tmp_path / "out"
    assert visualize(trained, out, "--input", str(images / "two.png")) == 0
    assert sorted(p.name for p in out.iterdir()) == ["montage.png", "sequence_two.png"]


def test_wrong_options_are_refused(trained, dataset, images, tmp_path, capsys):
    assert visualize(trained, tmp_path / "out", "--dataset", "gone") == 2
    assert "'gone' is not registered; registered are " in capsys.readouterr().err
    assert visualize(trained, tmp_path / "out", "--dataset", dataset, "--num", "0") == 2
    assert "--num is 0; expected 1 or more" in capsys.readouterr().err
    assert visualize(trained, tmp_path / "out", "--dataset", dataset, "--per-row", "0") == 2
    assert "--per-row is 0" in capsys.readouterr().err


def test_spread_includes_both_ends():
    dicts = [{"image_id": i} for i in range(10)]
    assert [d["image_id"] for d in spread(dicts, 4)] == [0, 3, 6, 9]
    assert spread(dicts, 99) == dicts
    assert spread(dicts, 1) == dicts[:1]


def test_image_names_are_file_names():
    assert image_name({"image_id": 139}) == "139"
    assert image_name({"image_id": "a/b c:1"}) == "a_b_c_1"


def no_instances(height: int, width: int) -> Instances:
    return Instances(
        (height, width),
        pred_masks=torch.zeros(0, height, width, dtype=torch.bool),
        pred_boxes=Boxes(torch.zeros(0, 4)),
        scores=torch.zeros(0),
        pred_classes=torch.zeros(0, dtype=torch.int64),
        step=torch.zeros(0, dtype=torch.int64),
    )


def test_drawing_nothing(dataset, tmp_path):
    dicts = DatasetCatalog.get(dataset)
    assert draw_dataset_predictions([], [], tmp_path / "a") == []
    found = [no_instances(d["height"], d["width"]) for d in dicts]
    files = draw_dataset_predictions(dicts, found, tmp_path / "b")
    assert files[0].name == "montage.png"
    assert all(f.is_file() for f in files)
    with pytest.raises(ValueError, match="3 images and 1"):
        draw_dataset_predictions(dicts, found[:1], tmp_path / "b")


@pytest.mark.slow
def test_as_a_user_runs_it(tmp_path, tool_env, tiny_run):
    arguments = ["--dataset", "synthetic_rosettes_val", "--num", "2", "--output", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-m", "recseg_d2.cli", "visualize", "--weights", tiny_run, *arguments,
         "--score-thresh", "0"],
        env=tool_env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert str(tmp_path / "out" / "montage.png") in done.stdout
