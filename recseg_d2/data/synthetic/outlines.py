"""Outlines of the shapes that scenes are drawn of, as polygons."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def inside(corners: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Which points of a grid are in a polygon, by the even-odd rule.

    Args:
        corners: (P, 2) y, x, closed by itself.
        y: (h, 1), the y coordinate of each row of the grid.
        x: (1, w), the x coordinate of each column of the grid.

    Returns:
        (h, w) bool.
    """
    y0, x0 = corners.T
    y1, x1 = np.roll(corners, -1, axis=0).T
    spans = (y0 > y) != (y1 > y)  # (h, P): whether an edge crosses the row
    rise = np.where(y1 == y0, 1, y1 - y0)  # horizontal edges span no row
    crossing = x0 + (y - y0) / rise * (x1 - x0)
    left = spans[:, :, None] & (crossing[:, :, None] > x[None])
    return left.sum(axis=1) % 2 == 1


def _disc(rng: np.random.Generator) -> np.ndarray:
    return _ring_points(np.linspace(0, 2 * np.pi, 40, endpoint=False))


def _square(rng: np.random.Generator) -> np.ndarray:
    return _ring_points(np.pi / 4 + np.arange(4) * np.pi / 2)


def _triangle(rng: np.random.Generator) -> np.ndarray:
    return _ring_points(np.arange(3) * 2 * np.pi / 3 + rng.uniform(-0.2, 0.2, 3))


def _star(rng: np.random.Generator) -> np.ndarray:
    radii = np.where(np.arange(10) % 2, rng.uniform(0.38, 0.52), 1)
    return _ring_points(np.arange(10) * np.pi / 5) * radii[:, None]


def _cross(rng: np.random.Generator) -> np.ndarray:
    arm = rng.uniform(0.26, 0.38)
    corner = np.array([[1, -arm], [1, arm], [arm, arm]])
    quarter_turn = np.array([[0, 1], [-1, 0]])
    quarters = [corner]
    for _ in range(3):
        quarters.append(quarters[-1] @ quarter_turn)
    return np.concatenate(quarters)


def _arc(rng: np.random.Generator) -> np.ndarray:
    """A sector of a ring."""
    angles = np.linspace(0, rng.uniform(3.4, 4.6), 24)
    return np.concatenate(
        [_ring_points(angles), _ring_points(angles[::-1]) * rng.uniform(0.5, 0.6)]
    )


def _ring_points(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)


# Each makes an outline: (P, 2) y, x of a closed polygon around the origin, of any size.
OUTLINES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "disc": _disc,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "arc": _arc,
}
