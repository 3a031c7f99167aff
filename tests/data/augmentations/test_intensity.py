from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.config.options import IntensityJitterOptions
from recseg_d2.data.augmentations.intensity import (
    DrawnIntensity,
    IntensityTransform,
    RandomIntensity,
)

SHAPE = (8, 9, 2)


def drawn(**changes) -> DrawnIntensity:
    values = {
        **{"invert": False, "gamma": 1.0, "contrast": 1.0, "brightness": 0.0},
        **{"gains": np.ones(2, np.float32), "noise": 0.0, "noise_seed": 0, "blur": 0.0},
    }
    return DrawnIntensity(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (0.25, 0.75)),
        ({"invert": True}, (0.75, 0.25)),
        ({"gamma": 2.0}, (0.0625, 0.5625)),
        ({"contrast": 2.0}, (0.0, 1.0)),
        ({"brightness": 0.1}, (0.35, 0.85)),
        ({"gains": np.array([2.0, 0.5], np.float32)}, (0.5, 0.375)),
        ({"invert": True, "gamma": 0.5, "contrast": 0.5}, (0.25 + 0.75**0.5 / 2, 0.5)),
    ],
)
def test_each_change_by_hand(changes, expected):
    image = np.empty(SHAPE, np.float32)
    image[..., 0], image[..., 1] = 0.25, 0.75
    moved = IntensityTransform(drawn(**changes)).apply_image(image)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved[..., 0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(moved[..., 1], expected[1], rtol=1e-6)


def test_noise_and_blur():
    image = np.zeros((64, 64, 1), np.float32)
    noisy = IntensityTransform(drawn(noise=0.1, gains=np.ones(1), noise_seed=3))
    assert noisy.apply_image(image).std() == pytest.approx(0.1, rel=0.1)
    np.testing.assert_array_equal(noisy.apply_image(image), noisy.apply_image(image))
    image[32, 32] = 1
    blurred = IntensityTransform(drawn(blur=1.0, gains=np.ones(1))).apply_image(image)
    assert blurred.max() == pytest.approx(1 / (2 * np.pi), rel=0.05)
    assert blurred.sum() == pytest.approx(1, rel=1e-3)


def test_draws_vary_within_their_ranges():
    np.random.seed(0)  # noqa: NPY002
    options = IntensityJitterOptions(invert=0.5, gamma=0.3)
    draws = [RandomIntensity(options).get_transform(np.zeros(SHAPE)).drawn for _ in range(200)]
    assert 0.35 < np.mean([d.invert for d in draws]) < 0.65
    gammas = np.array([d.gamma for d in draws])
    assert 0.35 < (gammas == 1).mean() < 0.65
    assert np.abs(np.log(gammas)).max() <= 0.3
    assert {len(d.gains) for d in draws} == {2}
    assert all(0 <= d.noise <= options.noise and 0 <= d.blur <= options.blur for d in draws)
    off = IntensityJitterOptions(0, 1, 0, 0, 0, 0, 0, 0)
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    same = RandomIntensity(off).get_transform(image).apply_image(image)
    np.testing.assert_allclose(same, image, atol=1e-6)


def test_half_the_strength_is_half_of_every_change_but_the_inversion():
    changes = []
    for strength in (1.0, 0.5, 0.0):
        np.random.seed(1)  # noqa: NPY002
        options = IntensityJitterOptions(invert=0.5, strength=strength)
        draws = [RandomIntensity(options).get_transform(np.zeros(SHAPE)).drawn for _ in range(30)]
        changes.append(
            [
                [
                    *(np.log(d.gamma), np.log(d.contrast), d.brightness, *np.log(d.gains)),
                    *(d.noise, d.blur, d.invert * strength),
                ]
                for d in draws
            ]
        )
    whole, half, none = map(np.array, changes)
    assert (np.abs(whole).max(axis=0) > 0).all()
    np.testing.assert_allclose(half, whole / 2, rtol=1e-4, atol=1e-6)
    assert not none.any()


def test_nothing_moves():
    transform = IntensityTransform(drawn(invert=True))
    mask, points = np.eye(3, dtype=np.uint8), np.ones((2, 2))
    np.testing.assert_array_equal(transform.apply_segmentation(mask), mask)
    np.testing.assert_array_equal(transform.apply_coords(points), points)
