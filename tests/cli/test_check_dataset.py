from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image

from recseg_d2 import cli
from recseg_d2.cli import check_dataset
from recseg_d2.data.export import export_dataset


@pytest.fixture
def folder(tmp_path):
    """Three rosettes as images/ and labels/."""
    export_dataset("label_maps", tmp_path / "data", range(3), [7], 40)
    return tmp_path / "data" / "train"


def test_a_good_folder(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert check_dataset.main(["--data", str(folder), "--output", str(out), "--num", "2"]) == 0
    text = capsys.readouterr().out
    assert "No problem found." in text
    assert "40 x 40: 3" in text
    report = json.loads((out / "report.json").read_text())
    assert report["problems"] == []
    assert report["summary"]["images"] == 3
    assert report["summary"]["per_class"]["object"] == report["summary"]["objects"] > 0
    with Image.open(out / "samples.png") as page:
        assert page.width == 2 * 256 + 3 * 6


def test_every_bad_file_of_a_folder_is_named(folder, tmp_path, capsys):
    labels = sorted((folder / "labels").iterdir())
    labels[0].write_bytes(b"no image")
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(labels[2])
    assert check_dataset.main(["--data", str(folder), "--output", str(tmp_path / "out")]) == 1
    text = capsys.readouterr().out
    assert f"{folder / 'images' / labels[0].name}: {labels[0]}: cannot be read" in text
    assert f"{labels[2]}: found 4x3 pixels" in text
    assert "2 problems in 2 files." in text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["problems"]) == 2
    assert report["summary"]["images"] == 1
    assert (tmp_path / "out" / "samples.png").is_file()


def test_each_image_without_a_label_map_is_named(folder, capsys):
    first, second, _ = sorted((folder / "labels").iterdir())
    first.unlink()
    second.unlink()
    assert check_dataset.main(["--data", str(folder)]) == 1
    text = capsys.readouterr().out
    for path in (first, second):
        assert f"{folder / 'images' / path.name}: has no label map {path}" in text
    assert "2 problems in 2 files." in text


def test_a_file_in_cocos_form(tmp_path, capsys):
    export_dataset("coco", tmp_path, range(3), [7], 40)
    file = tmp_path / "annotations" / "instances_train2017.json"
    assert check_dataset.main(["--data", str(file)]) == 0
    text = capsys.readouterr().out
    assert "40 x 40: 3" in text
    assert "leaf" in text
    contents = json.loads(file.read_text())
    contents["annotations"][0]["image_id"] = 77
    file.write_text(json.dumps(contents))
    assert check_dataset.main(["--data", str(file)]) == 1
    assert f"{file}: annotation 1: found image_id 77" in capsys.readouterr().out


def test_the_folder_of_a_second_call_is_read_anew(folder):
    assert check_dataset.main(["--data", str(folder)]) == 0
    next((folder / "labels").iterdir()).write_bytes(b"no image")
    assert check_dataset.main(["--data", str(folder)]) == 1


@pytest.fixture
def bad_name():
    """A registered data set whose two images are missing, without names for its classes."""
    name = "check_dataset_test"
    records = [
        {"file_name": f"none/{i}.png", "image_id": i, "height": 4, "width": 4} for i in range(30)
    ]
    DatasetCatalog.register(name, lambda: records)
    yield name
    DatasetCatalog.remove(name)
    MetadataCatalog.remove(name)


def test_a_registered_data_set_with_many_problems(bad_name, tmp_path, capsys):
    assert check_dataset.main([bad_name, "--output", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "30 problems in 30 files."
    assert lines[-2] == "... and 10 more"
    assert len(json.loads((tmp_path / "out" / "report.json").read_text())["problems"]) == 30
    assert not (tmp_path / "out" / "samples.png").exists()


def test_image_ids_are_written_as_a_list(bad_name, tmp_path):
    check_dataset.main([bad_name, "--write-list", str(tmp_path / "lists" / "all.txt")])
    assert (tmp_path / "lists" / "all.txt").read_text().split() == [str(i) for i in range(30)]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "error: Give either the name"),
        (["a", "--data", "b"], "error: Give either the name"),
        (["no_such_name"], "error: 'no_such_name' is not registered; registered are"),
        (["--data", "nowhere"], "error: nowhere: expected a folder with images/ and labels/"),
        (["synthetic_rosettes_dev", "--num", "0"], "error: --num is 0; expected 1 or more."),
    ],
)
def test_wrong_arguments_are_one_sentence_and_exit_code_2(capsys, argv, expected):
    assert cli.run(check_dataset.main, argv) == 2
    assert capsys.readouterr().err.startswith(expected)


def test_as_a_user_runs_it(folder, tool_env):
    command = [sys.executable, "-m", "recseg_d2.cli", "check-dataset", "--data", str(folder)]
    done = subprocess.run(command, env=tool_env, check=True, capture_output=True)
    assert b"No problem found." in done.stdout
