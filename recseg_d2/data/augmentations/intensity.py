"""Augmentations of the intensities of images whose values were brought to one range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from detectron2.data import transforms as T
from fvcore.transforms.transform import Transform
from scipy import ndimage

from recseg_d2.config.options import IntensityJitterOptions


@dataclass(frozen=True)
class DrawnIntensity:
    """One draw of ``RandomIntensity``.

    Attributes:
        invert: whether dark and bright change places.
        gamma: exponent of the values; 1 changes nothing.
        contrast: factor of the distance of values from 0.5.
        brightness: what is added to the values.
        gains: (C,) factor of each channel.
        noise: standard deviation of the Gaussian noise.
        noise_seed: seed that the noise is drawn with.
        blur: standard deviation of the Gaussian, in pixels; 0 is none.
    """

    invert: bool
    gamma: float
    contrast: float
    brightness: float
    gains: np.ndarray
    noise: float
    noise_seed: int
    blur: float


class IntensityTransform(Transform):
    """Changes the values of a float32 image in which 0 is dark and 1 is bright.

    In this order: inversion, gamma, contrast and brightness, gain of each channel, noise, blur.
    """

    def __init__(self, drawn: DrawnIntensity) -> None:
        super().__init__()
        self.drawn = drawn

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """Change an (H, W, C) float32 image."""
        drawn = self.drawn
        x = 1 - img if drawn.invert else img
        if drawn.gamma != 1:
            x = np.clip(x, 0, None) ** drawn.gamma
        x = ((x - 0.5) * drawn.contrast + 0.5 + drawn.brightness) * drawn.gains
        if drawn.noise > 0:
            generator = np.random.default_rng(drawn.noise_seed)
            x = x + drawn.noise * generator.standard_normal(x.shape, np.float32)
        if drawn.blur > 0:
            x = ndimage.gaussian_filter(x, (drawn.blur, drawn.blur, 0))
        return x.astype(np.float32)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """Points and objects stay where they are."""
        return segmentation

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Points and objects stay where they are."""
        return coords


class RandomIntensity(T.Augmentation):
    """What microscopes, cameras and stains change: see ``IntensityTransform``.

    Each kind of change is drawn on its own: gamma in half of the images, gains and noise in a
    third, blur in a sixth.
    """

    def __init__(self, options: IntensityJitterOptions) -> None:
        """Draw from the ranges of the options."""
        super().__init__()
        self.options = options

    def get_transform(self, image: np.ndarray) -> IntensityTransform:
        """Draw a transform for an (H, W, C) image."""
        channels = 1 if image.ndim == 2 else image.shape[2]
        draw, most = self._rand_range, self.options

        def change(largest: float, size: int | None = None) -> Any:
            return draw(-most.strength * largest, most.strength * largest, size)

        gains = np.exp(change(most.gain, channels))
        gamma = float(np.exp(change(most.gamma)))
        noise, blur = draw(0, most.strength * most.noise), draw(0, most.strength * most.blur)
        drawn = DrawnIntensity(
            invert=draw() < most.invert,
            gamma=gamma if draw() < 1 / 2 else 1.0,
            contrast=float(np.exp(change(most.contrast))),
            brightness=change(most.brightness),
            gains=(gains if draw() < 1 / 3 else np.ones(channels)).astype(np.float32),
            noise=noise if draw() < 1 / 3 else 0.0,
            noise_seed=int(draw(0, 2**31)),
            blur=blur if draw() < 1 / 6 else 0.0,
        )
        return IntensityTransform(drawn)
