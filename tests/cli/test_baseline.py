from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image

from recseg_d2.cli import run
from recseg_d2.cli.baseline import main
from recseg_d2.data.datasets.synthetic import register_synthetic_rosettes
from recseg_d2.data.label_io import read_label_map

pytest.importorskip("skimage", reason="needs scikit-image (extra: baseline)")


@pytest.fixture
def images(tmp_path):
    """A folder with two images of light squares, one of them grey with transparency."""
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = np.full((24, 32), 15, dtype=np.uint8)
    pixels[4:12, 4:12] = 220
    Image.fromarray(pixels).convert("LA").save(folder / "one.png")
    pixels[14:22, 18:28] = 180
    Image.fromarray(pixels).convert("RGB").save(folder / "two.tif")
    return folder


@pytest.fixture
def few_rosettes():
    """Three registered rosettes."""
    name = "baseline_test_rosettes"
    register_synthetic_rosettes(name, num_images=3, first_seed=50, size=48)
    yield name
    DatasetCatalog.remove(name)
    MetadataCatalog.remove(name)


def test_folder_to_label_maps(images, tmp_path, capsys):
    out = tmp_path / "new" / "labels"
    assert main(["--input", str(images), "--method", "nuclei", "--output", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["one.png", "two.png"]
    assert np.bincount(read_label_map(out / "one.png").ravel())[1:].tolist() == [64]
    assert np.bincount(read_label_map(out / "two.png").ravel())[1:].tolist() == [64, 80]
    assert "2 label maps" in capsys.readouterr().out


def test_single_file(images, tmp_path):
    command = ["--input", str(images / "two.tif"), "--method", "nuclei", "--output", str(tmp_path)]
    assert main(command) == 0
    assert (tmp_path / "two.png").is_file()


def test_dataset_is_scored_and_saved(few_rosettes, tmp_path, capsys):
    command = ["--dataset", few_rosettes, "--method", "leaves", "--output", str(tmp_path)]
    assert main(command) == 0
    saved = json.loads((tmp_path / f"leaves_{few_rosettes}.json").read_text())
    assert saved["images"].keys() == {"50", "51", "52"}
    assert 0 < saved["mean"]["SBD"] < 100
    assert "3 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "nowhere", "--output", "x"], "nowhere"),
        (["--dataset", "no_such_set"], "no_such_set"),
        (["--input", "nowhere"], "--output DIR"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, message, capsys):
    assert run(main, [*arguments, "--method", "leaves"]) == 2
    assert message in capsys.readouterr().err


def test_broken_image_is_named(tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"no image")
    command = ["--input", str(tmp_path), "--method", "nuclei", "--output", str(tmp_path / "out")]
    assert run(main, command) == 2
    assert "broken.png" in capsys.readouterr().err


@pytest.mark.slow
def test_as_a_user_runs_it(images, tool_env, tmp_path):
    command = [sys.executable, "-m", "recseg_d2.cli", "baseline", "--method", "nuclei"]
    command += ["--input", str(images), "--output", str(tmp_path / "out")]
    done = subprocess.run(command, env=tool_env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "one.png").is_file()


def test_a_file_in_the_way_of_the_output_is_named(tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    argv = ["--method", "nuclei", "--input", str(tmp_path / "a.png")]
    assert run(main, [*argv, "--output", str(tmp_path / "a.png")]) == 2
    assert "Cannot make the folder" in capsys.readouterr().err


def test_a_folder_is_scored_within_the_limits(images, tmp_path, capsys):
    """Of three images with labels, the one with three objects is left out."""
    folder = tmp_path / "val"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for count in (1, 2, 3):
        labels = np.zeros((40, 60), dtype=np.uint8)
        for k in range(count):
            labels[5:20, 18 * k + 4 : 18 * k + 16] = k + 1
        Image.fromarray(labels).save(folder / "labels" / f"{count}.png")
        pixels = np.where(labels > 0, 220, 15).astype(np.uint8)
        Image.fromarray(pixels).convert("RGB").save(folder / "images" / f"{count}.png")
    output = tmp_path / "scores"
    options = ["--val-data", str(folder), "--max-objects", "2", "--output", str(output)]
    try:
        assert run(main, ["--method", "nuclei", *options]) == 0
    finally:
        DatasetCatalog.remove("folder_val")
        MetadataCatalog.remove("folder_val")
    result = json.loads((output / "nuclei_folder_val.json").read_text())
    assert set(result["images"]) == {"1", "2"}
    assert result["mean"]["SBD"] == pytest.approx(100.0)
