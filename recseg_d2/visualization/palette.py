"""Colours of instances, by order of discovery.

The first ten are those of Okabe and Ito (2008, "Color Universal Design") without black, and three
more that stay apart from them for the two common kinds of red-green blindness. After those, each
colour is the one of a fixed grid that is farthest from all before it, in OKLab (Ottosson 2020), a
space where distance is close to the seen difference. So colour k never depends on how many
colours were asked for: the third object found is yellow in every figure.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FIRST_COLORS = np.array(
    [
        (213, 94, 0),  # vermilion
        (86, 180, 233),  # sky blue
        (240, 228, 66),  # yellow
        (204, 121, 167),  # reddish purple
        (0, 114, 178),  # blue
        (0, 158, 115),  # bluish green
        (230, 159, 0),  # orange
        (135, 15, 30),  # wine
        (120, 255, 255),  # pale cyan
        (51, 34, 136),  # indigo
    ],
    dtype=np.uint8,
)

_GRID_STEP = 15  # 18 values a channel
_LIGHTNESS = (0.4, 0.95)  # outside, colours pass for shadow or paper
_MIN_CHROMA = 0.09  # under it, they pass for grey images' own pixels
_BLOCK = 64  # colours are found in blocks, so that few different lengths are computed

_LINEAR_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_CONES_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def instance_colors(count: int) -> np.ndarray:
    """Colours of the first ``count`` objects.

    Args:
        count: how many; 0 or more. Colours repeat after some thousands.

    Returns:
        (count, 3) uint8 RGB. A longer palette begins with the shorter one.

    Raises:
        ValueError: count is negative.
    """
    if count < 0:
        raise ValueError(f"Number of colours is {count}; expected 0 or more.")
    blocks = max(1, -(-count // _BLOCK))
    known = _ordered_colors(min(blocks * _BLOCK, len(FIRST_COLORS) + len(_candidates())))
    return known[np.arange(count) % len(known)]


def rgb_to_oklab(colors: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 sRGB to float64 OKLab: lightness in [0, 1], green to red, blue to yellow."""
    shares = np.asarray(colors, dtype=np.float64) / 255.0
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _LINEAR_TO_CONES.T) @ _CONES_TO_OKLAB.T


@lru_cache(maxsize=1)
def _candidates() -> np.ndarray:
    """(M, 3) uint8: the grid's colours that are neither dark, nor white, nor grey."""
    levels = np.arange(0, 256, _GRID_STEP, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = rgb_to_oklab(grid)
    bright = (lab[:, 0] > _LIGHTNESS[0]) & (lab[:, 0] < _LIGHTNESS[1])
    return grid[bright & (np.linalg.norm(lab[:, 1:], axis=1) > _MIN_CHROMA)]


@lru_cache(maxsize=16)
def _ordered_colors(count: int) -> np.ndarray:
    """(count, 3) uint8, read-only: the first ten, then each farthest from all before it."""
    grid = _candidates()
    grid_lab = rgb_to_oklab(grid)
    nearest = _distances(grid_lab, rgb_to_oklab(FIRST_COLORS)).min(axis=1)
    chosen = []
    for _ in range(count - len(FIRST_COLORS)):
        best = int(nearest.argmax())
        chosen.append(best)
        nearest = np.minimum(nearest, _distances(grid_lab, grid_lab[best][None])[:, 0])
    colors = np.concatenate([FIRST_COLORS, grid[chosen].reshape(-1, 3)])
    colors.setflags(write=False)  # the cache hands the same array to everyone
    return colors


def _distances(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(M, K) Euclidean distances between (M, 3) and (K, 3)."""
    return np.linalg.norm(ones[:, None] - others[None], axis=-1)
