"""The objects of a layer: what ``recseg predict`` finds in the same pixels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from recseg_d2.cli import run
from recseg_d2.cli.predict import main
from recseg_d2.data.io.label_maps import read_label_map
from recseg_d2.errors import UserError
from recseg_d2.napari_plugin.predict import predict_objects

MODEL = "recseg://nuclei"


def nuclei(shift: int = 0, colours: bool = False) -> np.ndarray:
    """Two bright discs on a dark ground."""
    y, x = np.mgrid[:64, :72]
    image = np.full((64, 72), 20, np.uint8)
    for cy, cx in ((20, 20 + shift), (44, 50 + shift)):
        image[np.hypot(y - cy, x - cx) < 9] = 180
    image += np.random.default_rng(0).integers(0, 12, image.shape, dtype=np.uint8)
    return np.stack([image, image // 2, image], axis=2) if colours else image


def layer(data: np.ndarray, rgb: bool = False) -> SimpleNamespace:
    return SimpleNamespace(data=data, rgb=rgb, name="cells", scale=[0.5, 0.5])


@pytest.mark.parametrize("colours", [False, True])
def test_an_image(tmp_path, colours):
    image = nuclei(colours=colours)
    Image.fromarray(image).save(tmp_path / "a.png")
    place = ["--input", str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]
    assert run(main, ["--weights", MODEL, "--no-overlays", *place]) == 0
    labels, attributes, kind = predict_objects(layer(image, colours), MODEL)
    np.testing.assert_array_equal(labels, read_label_map(tmp_path / "out" / "labels" / "a.png"))
    assert labels.max() == 2
    assert (attributes, kind) == ({"name": "cells objects", "scale": [0.5, 0.5]}, "labels")


def test_a_stack(tmp_path):
    pages = np.stack([nuclei(shift) for shift in (0, 1, 2)])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack", metadata={"axes": "ZYX"})
    place = ["--input", str(tmp_path / "a.tif"), "--output", str(tmp_path / "out")]
    assert run(main, ["--weights", MODEL, "--stack", *place]) == 0
    labels, _, _ = predict_objects(layer(pages), MODEL)
    np.testing.assert_array_equal(labels, tifffile.imread(tmp_path / "out" / "labels" / "a.tif"))
    assert labels.max() == 2


def test_opacity_is_no_colour():
    image = nuclei(colours=True)
    opaque = np.concatenate([image, np.full((64, 72, 1), 255, np.uint8)], axis=2)
    found = [predict_objects(layer(pixels, True), MODEL)[0] for pixels in (image, opaque)]
    np.testing.assert_array_equal(*found)


def test_more_dimensions_and_wrong_limits_are_refused():
    with pytest.raises(UserError, match="layer cells: found 4 dimensions, expected rows and"):
        predict_objects(layer(np.zeros((2, 3, 8, 8), np.uint8)), MODEL)
    with pytest.raises(UserError, match="link_iou is 0"):
        predict_objects(layer(nuclei()), MODEL, link_iou=0)
