"""Labels layers from files and to files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from recseg_d2.data.io.label_maps import read_label_map, write_label_map
from recseg_d2.errors import UserError
from recseg_d2.napari_plugin.files import get_reader, write_labels


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((8, 9), np.int32)
    labels[1:4, 1:4], labels[5:7, 4:8] = 2, 7
    return labels


def test_label_maps_become_a_labels_layer(labels, tmp_path):
    write_label_map(tmp_path / "a_label.png", labels)
    path = str(tmp_path / "a_label.png")
    ((data, attributes, kind),) = get_reader(path)(path)
    np.testing.assert_array_equal(data, labels)
    assert (attributes, kind) == ({"name": "a_label"}, "labels")


def test_stacks_become_a_layer_with_slices(labels, tmp_path):
    stack = np.stack([labels, 2 * labels, 0 * labels])
    path = str(tmp_path / "a_labels.tif")
    write_labels(path, stack, {})
    ((data, _, kind),) = get_reader(path)(path)
    np.testing.assert_array_equal(data, stack)
    assert kind == "labels"


def test_other_files_are_left_to_others():
    assert get_reader("a_mask.jpg") is None
    assert get_reader(["a_mask.png", "b_mask.png"]) is None


@pytest.mark.parametrize("ending", [".png", ".tif", ".npy"])
def test_label_maps_keep_their_values(labels, tmp_path, ending):
    path = tmp_path / f"a{ending}"
    assert write_labels(str(path), labels, {}) == [str(path)]
    np.testing.assert_array_equal(read_label_map(path), labels)


def test_labels_beyond_16_bits(labels, tmp_path):
    write_labels(str(tmp_path / "a.tif"), labels * 70000, {})
    assert tifffile.imread(tmp_path / "a.tif").max() == 490000
    with pytest.raises(UserError, match="do not fit into 16 bits"):
        write_labels(str(tmp_path / "a.png"), labels * 70000, {})


def test_outlines_and_cellposes_file(labels, tmp_path):
    write_labels(str(tmp_path / "a.geojson"), labels, {"name": "cells"})
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert features[0]["geometry"]["coordinates"][0][:2] == [[1, 1], [4, 1]]
    write_labels(str(tmp_path / "a_seg.npy"), labels, {"name": "cells"})
    content = np.load(tmp_path / "a_seg.npy", allow_pickle=True).item()
    assert content["filename"] == "cells"
    np.testing.assert_array_equal(content["masks"], np.searchsorted([0, 2, 7], labels))


@pytest.mark.parametrize("ending", [".png", ".geojson", "_seg.npy"])
def test_stacks_in_files_of_one_image_are_refused(labels, tmp_path, ending):
    with pytest.raises(UserError, match=r"found labels of 3 dimensions.*save stacks as \.tif"):
        write_labels(str(tmp_path / f"a{ending}"), np.stack([labels] * 2), {})
