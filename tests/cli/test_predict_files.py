"""What ``recseg predict`` writes for other programs, and what it leaves out of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from cli.predicting import counts, predict, table
from PIL import Image

from recseg_d2.data.io.label_maps import read_label_map


def test_files_for_other_programs(trained, images, tmp_path):
    out, formats = tmp_path / "out", ["labelme", "yolo", "tif", "cellpose", "geojson", "masks"]
    assert predict(trained, images, output=out, more=["--no-overlays", "--format", *formats]) == 0
    labels = np.asarray(Image.open(out / "labels/two.png"))
    np.testing.assert_array_equal(read_label_map(out / "tif" / "two.tif"), labels)
    np.testing.assert_array_equal(read_label_map(out / "cellpose" / "two_seg.npy"), labels)
    shapes = json.loads((out / "labelme" / "two.json").read_text())["shapes"]
    assert shapes[0]["points"] == [[2, 1], [6, 1], [6, 3], [2, 3]]
    assert (out / "yolo" / "none.txt").read_text() == ""
    assert len((out / "yolo" / "three.txt").read_text().splitlines()) == 3
    features = json.loads((out / "geojson" / "three.geojson").read_text())["features"]
    assert [f["properties"]["measurements"]["score"] for f in features] == pytest.approx(
        [0.9, 0.8, 0.7]
    )
    assert len(list((out / "masks" / "three").iterdir())) == 3


def test_measurements_worked_by_hand(trained, images, tmp_path):
    pytest.importorskip("skimage")
    out = tmp_path / "out"
    more = ["--no-overlays", "--format", "measurements", "--pixel-size", "0.5"]
    assert predict(trained, images, output=out, more=more) == 0
    rows = table(out / "measurements.csv")
    assert [(row["file"], row["object"]) for row in rows] == [
        *(("three.png", str(n)) for n in (1, 2, 3)),
        *(("two.png", str(n)) for n in (1, 2)),
    ]
    box = rows[3]  # rows 1 and 2, columns 2 to 5, red 200
    assert (box["area"], float(box["area_um2"])) == ("8", 2.0)
    assert (float(box["centroid_x"]), float(box["centroid_y"])) == (3.5, 1.5)
    assert [float(box[f"intensity_mean_{n}"]) for n in range(3)] == [200, 0, 0]
    assert float(box["solidity"]) == 1
    assert float(box["perimeter_um"]) == float(box["perimeter"]) / 2
    assert [row["touching"] for row in rows] == ["0", "1", "1", "0", "0"]


def test_small_objects_and_those_at_the_border_are_left_out(trained, images, tmp_path):
    assert predict(trained, images, output=tmp_path / "a", more=["--min-area", "4"]) == 0
    assert counts(tmp_path / "a")[1:] == [["none.png", "0"], ["three.png", "1"], ["two.png", "2"]]
    assert predict(trained, images, output=tmp_path / "b", more=["--drop-border"]) == 0
    assert counts(tmp_path / "b")[1:] == [["none.png", "0"], ["three.png", "1"], ["two.png", "1"]]


def test_sizes_that_are_none_are_refused(trained, images, tmp_path, capsys):
    for more in (["--min-area", "-1"], ["--pixel-size", "0"]):
        assert predict(trained, images, output=tmp_path / "out", more=more) == 2
        assert "expected 0 or more, and above 0" in capsys.readouterr().err


def test_label_maps_of_16_bits_where_8_would_do(trained, images, tmp_path):
    out, more = tmp_path / "out", ["--no-overlays", "--format", "tif", "--bits", "16"]
    assert predict(trained, images, output=out, more=more) == 0
    with Image.open(out / "labels/two.png") as labels:
        assert labels.mode.startswith("I;16")
    assert tifffile.imread(out / "tif/two.tif").dtype == np.uint16
    more[-1] = "8"
    assert predict(trained, images, output=out, more=more) == 0
    assert tifffile.imread(out / "tif/two.tif").dtype == np.uint8


def test_masks_of_an_earlier_prediction_do_not_stay(trained, images, tmp_path):
    out = tmp_path / "out"
    more = ["--format", "masks"]
    assert predict(trained, images, output=out, more=more) == 0
    assert len(list((out / "masks" / "three").iterdir())) == 3
    Image.open(images / "two.png").save(tmp_path / "three.png")
    assert predict(trained, tmp_path / "three.png", output=out, more=more) == 0
    assert sorted(p.name for p in (out / "masks" / "three").iterdir()) == ["1.png", "2.png"]
