"""Colours: stable, distinct, and apart for colour-blind eyes."""

from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.visualization.palette import FIRST_COLORS, instance_colors, rgb_to_oklab

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]


def smallest_distance(colors: np.ndarray) -> float:
    lab = rgb_to_oklab(colors)
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return float(distances[~np.eye(len(colors), dtype=bool)].min())


def seen_by(colors: np.ndarray, matrix: list[list[float]]) -> np.ndarray:
    linear = np.clip((colors / 255.0) ** 2.2 @ np.array(matrix).T, 0, 1)
    return linear ** (1 / 2.2) * 255


@pytest.mark.parametrize("count", [0, 1, 10, 11, 64, 65, 300])
def test_shape_and_dtype(count):
    colors = instance_colors(count)
    assert colors.shape == (count, 3)
    assert colors.dtype == np.uint8


def test_a_longer_palette_begins_with_the_shorter():
    long = instance_colors(200)
    for count in (1, 7, 63, 64, 65, 130):
        assert (instance_colors(count) == long[:count]).all()


def test_first_ten_stay_apart_for_colour_blind_eyes():
    first = instance_colors(10)
    assert (first == FIRST_COLORS).all()
    assert smallest_distance(first) > 0.15
    assert smallest_distance(seen_by(first, DEUTERANOPIA)) > 0.07
    assert smallest_distance(seen_by(first, PROTANOPIA)) > 0.07


def test_no_colour_occurs_twice_among_300():
    assert len(np.unique(instance_colors(300), axis=0)) == 300
    assert smallest_distance(instance_colors(60)) > 0.06


def test_colours_repeat_only_after_thousands():
    colors = instance_colors(5000)
    assert len(colors) == 5000
    assert len(np.unique(colors, axis=0)) > 2000


def test_oklab_of_white_and_black():
    lab = rgb_to_oklab(np.array([[255, 255, 255], [0, 0, 0]], dtype=np.uint8))
    np.testing.assert_allclose(lab, [[1, 0, 0], [0, 0, 0]], atol=1e-6)


def test_negative_count_is_refused():
    with pytest.raises(ValueError, match="-1"):
        instance_colors(-1)


def test_the_cache_cannot_be_changed_from_outside():
    instance_colors(3)[:] = 0
    assert (instance_colors(3) == FIRST_COLORS[:3]).all()
