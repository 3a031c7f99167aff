from __future__ import annotations

import sys

import numpy as np
import pytest
from detectron2.utils.file_io import PathManager

from recseg_d2.data.io.hdf5 import create_h5, h5_path, open_h5_group, split_h5_path
from recseg_d2.data.io.images import probe_image, read_bgr
from recseg_d2.errors import UserError


def test_paths_there_and_back(tmp_path):
    path = h5_path(tmp_path / "a.h5", "A1/plant/rgb")
    assert path.startswith("h5://")
    assert split_h5_path(path) == (tmp_path / "a.h5", "A1/plant/rgb")
    assert split_h5_path("h5://a.h5")[1] == ""


def test_a_data_set_is_an_image_file(tmp_path):
    pytest.importorskip("h5py")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    with create_h5(tmp_path / "a.h5") as file:
        file["A1/plant/rgb"] = pixels
    path = h5_path(tmp_path / "a.h5", "A1/plant/rgb")
    assert PathManager.isfile(path)
    assert probe_image(path).size == (5, 7)
    np.testing.assert_array_equal(read_bgr(path), pixels[..., 2::-1])
    with pytest.raises(UserError, match="no such file"):
        read_bgr(f"{path}x")


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    with create_h5(tmp_path / "a.h5"):
        pass
    with (
        pytest.raises(UserError, match=r"a\.h5: no group 'A4', found nothing"),
        open_h5_group(tmp_path / "a.h5", "A4"),
    ):
        pass
    monkeypatch.setitem(sys.modules, "h5py", None)
    with (
        pytest.raises(UserError, match=r"recseg_d2\[hdf5\]"),
        create_h5(tmp_path / "b.h5"),
    ):
        pass
