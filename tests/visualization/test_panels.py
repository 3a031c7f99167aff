"""Sizes, layout and captions of panels."""

from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.visualization.panels import (
    GAP,
    Panel,
    as_rgb,
    caption_height,
    fitted_size,
    font,
    lay_out,
    resize_picture,
    shorten,
)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
def test_as_rgb_takes_every_8_bit_image(shape):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    rgb = as_rgb(image)
    assert rgb.shape == (4, 5, 3)
    first = image.reshape(4, 5, -1)
    assert (rgb[..., 0] == first[..., 0]).all()
    assert (rgb[..., 2] == first[..., 2 if first.shape[2] > 1 else 0]).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 5), np.uint16),
        np.zeros((4, 5, 3), np.float32),
        np.zeros((4, 5, 2), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5,), np.uint8),
    ],
)
def test_as_rgb_refuses_others_by_dtype_and_shape(image):
    with pytest.raises(ValueError, match=str(image.dtype)):
        as_rgb(image)


def test_fitted_size_keeps_the_aspect_and_never_vanishes():
    assert fitted_size((100, 200), 50) == (25, 50)
    assert fitted_size((3, 2), 192) == (192, 128)
    assert fitted_size((1, 10000), 192) == (1, 192)


def test_small_images_grow_by_nearest():
    image = np.array([[[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)
    grown = resize_picture(image, (2, 4))
    assert set(np.unique(grown)) == {0, 255}
    assert (grown[:, :2] == 0).all()
    assert (grown[:, 2:] == 255).all()


def test_layout_places_panels_and_leaves_holes():
    red = np.full((10, 30, 3), (255, 0, 0), dtype=np.uint8)
    blue = np.full((20, 10, 3), (0, 0, 255), dtype=np.uint8)
    figure = np.asarray(lay_out([[Panel(red), None], [None, Panel(blue, "b")]]))
    width, height = 3 * GAP + 30 + 10, 3 * GAP + 10 + 20 + caption_height()
    assert figure.shape == (height, width, 3)
    assert (figure[GAP : GAP + 10, GAP : GAP + 30] == (255, 0, 0)).all()
    assert (figure[-GAP - 20 : -GAP, -GAP - 10 : -GAP] == (0, 0, 255)).all()
    assert (figure[GAP : GAP + 10, 30 + GAP :] == 255).all()


def test_layout_without_panels_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        lay_out([[None]])


def test_shorten_keeps_start_and_end():
    text = "a_very_long_file_name_of_an_image_0042"
    short = shorten(text, 100)
    assert font().getlength(short) <= 100
    assert short.startswith("a_")
    assert short.endswith("42")
    assert shorten("short", 100) == "short"
    assert len(shorten(text, 1)) == 1
