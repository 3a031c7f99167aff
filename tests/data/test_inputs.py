from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.inputs import ImageReader, with_channels
from recseg_d2.errors import UserError


def reader(kind="percentiles", channels=3, order="RGB"):
    cfg = get_recseg_cfg()
    cfg.INPUT.INTENSITY.KIND, cfg.INPUT.FORMAT = kind, order
    cfg.MODEL.PIXEL_MEAN = cfg.MODEL.PIXEL_STD = [1.0] * channels
    return ImageReader(cfg)


@pytest.fixture
def colours(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png", pixels


@pytest.mark.parametrize("kind", ["stored", "percentiles"])
def test_files_and_arrays_come_in_the_order_of_the_config(colours, kind):
    path, pixels = colours
    for order, expected in (("RGB", pixels), ("BGR", pixels[..., ::-1])):
        found = reader(kind, order=order)
        assert found(path).dtype == np.uint8
        np.testing.assert_array_equal(found(path), expected)
        np.testing.assert_array_equal(found.from_array(pixels[..., ::-1]), expected)


def test_16_bits_keep_their_values_where_intensities_are_brought_to_one_range(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 2**16, (5, 6), np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    found = reader()(tmp_path / "a.tif")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.repeat(pixels[..., None], 3, 2))
    np.testing.assert_array_equal(reader(channels=1)(tmp_path / "a.tif")[..., 0], pixels)
    with pytest.raises(UserError, match="expected 8 bits"):
        reader("stored")(tmp_path / "a.tif")


def test_channels_of_files_and_models():
    grey, two, colour, four = (np.full((1, 1, c), np.arange(1.0, c + 1)) for c in (1, 2, 3, 4))
    assert with_channels(grey, 3, "")[0, 0].tolist() == [1, 1, 1]
    assert with_channels(colour, 1, "")[0, 0].tolist() == [2]
    for image in (grey, two, colour, four):
        assert with_channels(image, image.shape[2], "") is image
    for image, wanted in ((colour, 5), (two, 3), (four, 3), (four, 1)):  # nothing is left out
        found = image.shape[2]
        with pytest.raises(UserError, match=rf"a\.tif: found {found} channels, expected {wanted}"):
            with_channels(image, wanted, "a.tif")


def test_four_stains_stay_four(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 2**16, (5, 6, 4), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    read = reader(channels=4)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), pixels)
    np.testing.assert_array_equal(read.from_array(read.read(tmp_path / "a.tif")), pixels)


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        ("stored", np.zeros((2, 2, 3), np.float32)),
        ("stored", np.zeros((2, 2), np.uint8)),
        ("percentiles", np.zeros((2, 2, 3), complex)),
        ("percentiles", np.zeros((2, 0, 3))),
        ("percentiles", np.zeros((2, 2, 3, 3))),
    ],
)
def test_arrays_of_another_kind_are_refused(kind, array):
    with pytest.raises(UserError, match="An image given as an array has dtype"):
        reader(kind).from_array(array)
