"""Downloads, and the data set that corrected images make."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from recseg_d2.app.correcting import PAINT, CorrectedImage
from recseg_d2.app.saving import save_correction, write_downloads
from recseg_d2.data.io.label_maps import read_label_map


@pytest.fixture
def drawn(image):
    image.brush(PAINT, (20, 20), 8)
    image.new_object()
    image.brush(PAINT, (70, 70), 8)
    return image


def test_downloads_are_what_predict_writes(drawn, tmp_path):
    pytest.importorskip("roifile", reason="needs roifile (extra: imagej)")
    pytest.importorskip("skimage", reason="needs scikit-image (extra: baseline)")
    labels, coco, rois, table = write_downloads(tmp_path / "out", drawn.predicted())
    assert tifffile.imread(labels).dtype == np.uint16
    assert np.array_equal(tifffile.imread(labels), drawn.label_map())
    assert len(json.loads(coco.read_text())) > 0
    assert rois.suffix == ".zip"
    assert len(table.read_text().splitlines()) == 3


def test_an_image_without_objects_can_be_downloaded(image, tmp_path):
    for file in write_downloads(tmp_path / "out", image.predicted()):
        assert file.is_file()


def test_formats_whose_library_is_missing_are_left_out(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr("recseg_d2.app.saving._is_there", lambda library: False)
    files = write_downloads(tmp_path / "out", drawn.predicted())
    assert [file.name for file in files] == ["plant.tif", "predictions.json"]


def test_the_data_set_has_the_image_as_it_is_and_its_label_map(drawn, tmp_path):
    folder = tmp_path / "mine"
    labels = save_correction(folder, drawn)
    assert labels == folder / "labels" / "plant.png"
    assert np.array_equal(read_label_map(labels), drawn.label_map())
    assert Image.open(labels).mode.startswith("I;16")
    assert (folder / "images" / "plant.png").read_bytes() == drawn.path.read_bytes()


def test_the_same_image_is_replaced_and_another_keeps_its_own(drawn, finder, tmp_path):
    folder = tmp_path / "mine"
    save_correction(folder, drawn)
    drawn.edits.undo()
    labels = save_correction(folder, drawn)
    assert read_label_map(labels).max() == 1
    other = tmp_path / "other" / "plant.png"
    other.parent.mkdir()
    Image.new("RGB", (30, 20), (0, 90, 0)).save(other)
    for _ in range(2):
        saved = save_correction(folder, CorrectedImage(other, finder.read(other)))
        assert saved.name == "plant_2.png"
    assert read_label_map(labels).max() == 1
    assert read_label_map(saved).shape == (20, 30)
    assert len(list((folder / "images").iterdir())) == 2
