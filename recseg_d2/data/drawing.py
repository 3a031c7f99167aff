"""What all drawn data sets share: noise, and the camera. May use: numpy only.

All arithmetic is in float64: rounding to 8 bits at the end then hides the differences in the last
bit between machines, so that a seed means the same image everywhere.
"""

from __future__ import annotations

import numpy as np


def photograph(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uneven light, a slightly blurred lens, sensor noise, 8 bits.

    Args:
        canvas: (size, size, 3) float64 RGB, about 0 to 1.
        rng: decides on light, blur and noise.

    Returns:
        (size, size, 3) uint8.
    """
    size = canvas.shape[0]
    slope = rng.uniform(-0.2, 0.2, 2)
    ramp = np.linspace(-1, 1, size)
    light = rng.uniform(0.85, 1.15) * (1 + slope[0] * ramp[:, None] + slope[1] * ramp[None, :])
    image = canvas * light[..., None]
    edge = rng.uniform(0.12, 0.24)  # weights of the neighbours in a three-tap blur
    for axis in (0, 1):
        low, high = np.roll(image, 1, axis), np.roll(image, -1, axis)
        image = (1 - 2 * edge) * image + edge * (low + high)
    image += rng.normal(0, rng.uniform(0.01, 0.03), image.shape)
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def smooth_noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """(size, size) noise of standard deviation about 0.7: a random grid, bilinearly enlarged."""
    position = np.linspace(0, cells - 1, size)
    left = np.minimum(position.astype(int), cells - 2)
    weights = np.zeros((size, cells))
    rows = np.arange(size)
    weights[rows, left + 1] = position - left
    weights[rows, left] = 1 - (position - left)
    return weights @ rng.normal(size=(cells, cells)) @ weights.T
