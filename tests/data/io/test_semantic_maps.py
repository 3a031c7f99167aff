"""Semantic segmentations from a folder of PNGs."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from recseg_d2.data.io.semantic_maps import SemanticFolder
from recseg_d2.errors import UserError

CITYSCAPES_IDS = (24, 25, 26, 27, 28, 31, 32, 33)  # person to bicycle


def write(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(labels, dtype=np.uint8)).save(path)


def test_ids_become_classes_and_the_rest_background(tmp_path):
    write(tmp_path / "a.png", [[7, 26, 24], [33, 0, 26]])
    found = SemanticFolder(tmp_path, (24, 26)).read("anywhere/a.jpg", (2, 3))
    assert found.tolist() == [
        [[1, 0, 0], [1, 1, 0]],
        [[0, 0, 1], [0, 0, 0]],
        [[0, 1, 0], [0, 0, 1]],
    ]


def test_cityscapes_names_and_cities(tmp_path):
    write(tmp_path / "ulm" / "ulm_1_pred.png", [[28, 28]])
    source = SemanticFolder(tmp_path, CITYSCAPES_IDS, "_leftImg8bit", "_pred")
    found = source.read("leftImg8bit/val/ulm/ulm_1_leftImg8bit.png", (1, 2))
    assert found[5].tolist() == [[1, 1]]
    assert found.sum() == 2


def test_another_resolution_is_resized_by_the_nearest_pixel(tmp_path):
    write(tmp_path / "a.png", [[1, 2], [0, 1]])
    found = SemanticFolder(tmp_path, (1, 2)).read("a.png", (4, 4))
    assert found[1].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_a_missing_file_and_a_wrong_shape_are_named(tmp_path):
    write(tmp_path / "wide.png", np.zeros((10, 40)))
    source = SemanticFolder(tmp_path, (1,))
    with pytest.raises(UserError, match=r"none\.jpg: no semantic segmentation; expected .*none"):
        source.read("none.jpg", (10, 40))
    with pytest.raises(UserError, match=r"wide\.png: found 10 x 40 pixels .* 40 x 10"):
        source.read("wide.jpg", (40, 10))
