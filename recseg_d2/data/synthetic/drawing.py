"""What drawn data sets share: noise, shadows, and the camera.

All arithmetic is in float64: rounding to 8 bits at the end then hides the differences in the last
bit between machines, so that a seed means the same image everywhere.
"""

from __future__ import annotations

import numpy as np


def photograph(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uneven light, a slightly blurred lens, sensor noise, 8 bits.

    Args:
        canvas: (H, W, 3) float64 RGB, about 0 to 1.
        rng: the generator that light, blur and noise are drawn with.

    Returns:
        (H, W, 3) uint8.
    """
    slope = rng.uniform(-0.2, 0.2, 2)
    down, right = (np.linspace(-1, 1, side) for side in canvas.shape[:2])
    light = rng.uniform(0.85, 1.15) * (1 + slope[0] * down[:, None] + slope[1] * right[None, :])
    image = canvas * light[..., None]
    edge = rng.uniform(0.12, 0.24)  # weights of the neighbours in a three-tap blur
    for axis in (0, 1):
        low, high = np.roll(image, 1, axis), np.roll(image, -1, axis)
        image = (1 - 2 * edge) * image + edge * (low + high)
    image += rng.normal(0, rng.uniform(0.01, 0.03), image.shape)
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def cast_shadow(
    canvas: np.ndarray,
    window: tuple[slice, slice],
    covered: np.ndarray,
    scale: float,
    brightness: float,
) -> None:
    """Darken what lies just below and right of something, in place.

    Args:
        canvas: (S, S, 3) float, a square image, which is changed.
        window: rows and columns in which the thing lies.
        covered: (h, w) bool, its pixels there.
        scale: scale of the scene; at 1 the shadow is moved by 1.5 pixels along both axes.
        brightness: factor that what lies in the shadow is darkened by, in (0, 1).
    """
    size, shift = canvas.shape[0], max(1, round(1.5 * scale))
    rows, columns = window
    low = (min(rows.start + shift, size), min(columns.start + shift, size))
    below = canvas[low[0] : rows.stop + shift, low[1] : columns.stop + shift]
    below[covered[: below.shape[0], : below.shape[1]]] *= brightness


def smooth_noise(rng: np.random.Generator, size: int | tuple[int, int], cells: int) -> np.ndarray:
    """Noise of standard deviation about 0.7: a random grid, bilinearly enlarged.

    Args:
        rng: the generator that the grid's values are drawn with.
        size: height and width, or the one side of a square, pixels.
        cells: number of cells of the grid along each side.

    Returns:
        (H, W) float64.
    """
    height, width = (size, size) if isinstance(size, int) else size
    grid = rng.normal(size=(cells, cells))
    return _interpolation(height, cells) @ grid @ _interpolation(width, cells).T


def _interpolation(side: int, cells: int) -> np.ndarray:
    """(side, cells) weights of the grid's points at each pixel."""
    position = np.linspace(0, cells - 1, side)
    left = np.minimum(position.astype(int), cells - 2)
    weights = np.zeros((side, cells))
    rows = np.arange(side)
    weights[rows, left + 1] = position - left
    weights[rows, left] = 1 - (position - left)
    return weights
