"""Synthetic rosettes: overlapping leaves around a centre, seen from above.

The built-in data set: nothing to download, every image is a function of one integer. It is drawn
to be a small version of what makes leaf segmentation hard: leaves of nearly the same green that
really hide one another, a varying number of them, and a background with moss and stones, on which
no colour threshold alone tells the leaves apart.

All arithmetic is in float64, so that a seed means the same image everywhere (see ``drawing``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recseg_d2.data.synthetic.drawing import cast_shadow, photograph, smooth_noise

REFERENCE_SIZE = 96  # lengths below are in pixels of an image of this side, and scale with it
MIN_SIZE = 32  # the smallest image in which leaves are still more than a few pixels
MIN_VISIBLE_AREA = 40.0  # a leaf of which less can be seen is not drawn
PLACEMENT_TRIES = 12  # for one leaf, until it hides none of those below it
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))  # between one leaf and the next, as on real rosettes

_SHAPE_STREAM, _LOOK_STREAM = 0, 1  # independent random streams of one seed


@dataclass
class _Leaf:
    """A leaf's visible window: which pixels it covers there and its own coordinates."""

    window: tuple[slice, slice]
    covered: np.ndarray  # (h, w) bool
    along: np.ndarray  # (h, w) 0 at the blade's base, 1 at its tip, negative on the petiole
    across: np.ndarray  # (h, w) signed distance from the midrib, pixels
    width: np.ndarray  # (h, w) half the blade's width there, pixels
    angle: float


def draw_rosette(
    seed: int,
    size: int = REFERENCE_SIZE,
    leaves: tuple[int, int] = (2, 8),
    spread: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rosette of a seed.

    Args:
        seed: any integer >= 0.
        size: side of the square image in pixels, at least ``MIN_SIZE``.
        leaves: fewest and most leaves; their number is uniform in between, except that a leaf is
            left out if, in every try, some leaf would show less than ``MIN_VISIBLE_AREA``.
        spread: share of the full turn over which the leaves fan out, in (0, 1]. Over the full turn
            they hide 9 % of their area from one another, over half of it twice as much.

    Returns:
        image: (size, size, 3) uint8 RGB.
        labels: (size, size) uint8; 0 is background, k the visible part of the k-th leaf from below.
    """
    placed, labels = _place_leaves(seed, size, leaves, spread)
    rng = np.random.default_rng((seed, _LOOK_STREAM))
    scale = size / REFERENCE_SIZE
    canvas = _draw_soil(rng, size)
    base = np.array([0.27, 0.47, 0.16]) + rng.uniform(-1, 1, 3) * (0.05, 0.05, 0.04)
    for leaf in placed:
        cast_shadow(canvas, leaf.window, leaf.covered, scale, 0.78)
        _paint_leaf(canvas, leaf, base, rng, scale)
    return photograph(canvas, rng), labels


def draw_label_map(
    seed: int,
    size: int = REFERENCE_SIZE,
    leaves: tuple[int, int] = (2, 8),
    spread: float = 1.0,
) -> np.ndarray:
    """The label map of ``draw_rosette`` for the same arguments, without the cost of the image."""
    return _place_leaves(seed, size, leaves, spread)[1]


# ------------------------------------------------------------------------------------- geometry


def _place_leaves(
    seed: int, size: int, leaves: tuple[int, int], spread: float
) -> tuple[list[_Leaf], np.ndarray]:
    """Grow leaves one over the other, such that something can be seen of each in the end."""
    rng = np.random.default_rng((seed, _SHAPE_STREAM))
    scale = size / REFERENCE_SIZE
    count = int(rng.integers(leaves[0], leaves[1] + 1))
    centre = size / 2 + rng.uniform(-8, 8, 2) * scale
    first_angle, plant_size = rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.15)
    labels = np.zeros((size, size), np.uint8)
    placed: list[_Leaf] = []
    for k in range(count):
        for _ in range(PLACEMENT_TRIES):
            angle = first_angle + k * GOLDEN_ANGLE + rng.normal(0, 0.4)
            angle -= (1 - spread) * ((angle - first_angle) % (2 * np.pi))
            leaf = _grow_leaf(rng, size, centre, angle, plant_size * scale)
            covered = _cover(labels, leaf, len(placed) + 1)
            visible = np.bincount(covered.ravel(), minlength=len(placed) + 2)[1:]
            if visible.min() >= MIN_VISIBLE_AREA * scale**2:
                labels = covered
                placed.append(leaf)
                break
    return placed, labels


def _grow_leaf(
    rng: np.random.Generator, size: int, centre: np.ndarray, angle: float, scale: float
) -> _Leaf:
    """A leaf with random shape. The blade's outline is u^a (1-u)^b: elliptic to pointed."""
    petiole, blade = rng.uniform(3, 10) * scale, rng.uniform(19, 33) * scale
    half_width = blade * rng.uniform(0.22, 0.36)
    a, b = rng.uniform(0.5, 0.9), rng.uniform(0.4, 0.8)
    bend = rng.uniform(-0.18, 0.18) * blade
    direction = np.array([np.sin(angle), np.cos(angle)])  # y, x
    window = _window(centre, direction, petiole + blade, half_width + abs(bend) + 2, size)
    y = np.arange(window[0].start, window[0].stop)[:, None] + 0.5 - centre[0]
    x = np.arange(window[1].start, window[1].stop)[None, :] + 0.5 - centre[1]
    along = (y * direction[0] + x * direction[1] - petiole) / blade
    inside = np.clip(along, 0, 1)
    across = y * direction[1] - x * direction[0] - bend * inside**2
    peak = (a / (a + b)) ** a * (b / (a + b)) ** b
    width = half_width / peak * inside**a * (1 - inside) ** b
    stalk = (along > -petiole / blade) & (along < 0.2) & (np.abs(across) < 1.1 * scale)
    return _Leaf(window, (np.abs(across) < width) | stalk, along, across, width, angle)


def _window(
    centre: np.ndarray, direction: np.ndarray, length: float, margin: float, size: int
) -> tuple[slice, slice]:
    """The part of the image that a leaf of that length and half width can touch."""
    tip = centre + direction * length
    low = np.clip(np.floor(np.minimum(centre, tip) - margin), 0, size - 1).astype(int)
    high = np.clip(np.ceil(np.maximum(centre, tip) + margin), low + 1, size).astype(int)
    return slice(low[0], high[0]), slice(low[1], high[1])


def _cover(labels: np.ndarray, leaf: _Leaf, label: int) -> np.ndarray:
    covered = labels.copy()
    covered[leaf.window][leaf.covered] = label
    return covered


# ----------------------------------------------------------------------------------------- look


def _paint_leaf(
    canvas: np.ndarray, leaf: _Leaf, base: np.ndarray, rng: np.random.Generator, scale: float
) -> None:
    """Colour a leaf: its own shade, lit from one side, midrib and veins lighter, rim darker."""
    shade = rng.normal(1, 0.11)
    colour = (base + rng.normal(0, 0.018, 3)) * shade
    side = leaf.across / np.maximum(leaf.width, 1)
    lit = 1 + rng.uniform(0.04, 0.14) * side * np.cos(leaf.angle)
    lit *= 0.86 + 0.2 * np.clip(leaf.along, 0, 1)
    rim = np.clip((np.abs(leaf.across) - leaf.width) / (1.6 * scale) + 1, 0, 1)
    lit *= 1 - 0.2 * rim * (leaf.along > 0.05)
    veins = np.abs((leaf.along * 7 - np.abs(side) * 1.3) % 1 - 0.5) < 0.1
    midrib = np.clip(1.3 - np.abs(leaf.across) / scale, 0, 1)
    lit += rng.uniform(0.1, 0.28) * midrib + 0.05 * veins
    pixels = colour * lit[..., None]
    pixels[leaf.along < 0] += (0.05, 0.0, 0.02)  # petioles are paler and redder
    canvas[leaf.window][leaf.covered] = pixels[leaf.covered]


def _draw_soil(rng: np.random.Generator, size: int) -> np.ndarray:
    """Brown grains with patches of moss (as green as a leaf) and stones. (size, size, 3)."""
    coarse, fine = smooth_noise(rng, size, 7), smooth_noise(rng, size, 30)
    height = 1 + 0.22 * coarse + 0.2 * fine + rng.normal(0, 0.09, (size, size))
    colour = np.array([0.36, 0.28, 0.20]) * rng.uniform(0.7, 1.2)
    soil = colour * height[..., None]
    moss_amount = smooth_noise(rng, size, 12) + 0.6 * smooth_noise(rng, size, 40)
    moss = np.clip((moss_amount - rng.uniform(0.85, 1.5)) * 4, 0, 1)[..., None]
    moss_colour = np.array([0.27, 0.42, 0.15]) * rng.uniform(0.75, 1.1)
    soil += moss * (moss_colour * (0.85 + 0.25 * fine[..., None]) - soil)
    for _ in range(rng.integers(0, 6)):
        _drop_stone(soil, rng)
    return soil


def _drop_stone(soil: np.ndarray, rng: np.random.Generator) -> None:
    size = soil.shape[0]
    y, x = np.ogrid[:size, :size]
    cy, cx = rng.uniform(0, size, 2)
    ry, rx = rng.uniform(1.2, 4.0, 2) * size / REFERENCE_SIZE
    inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
    grey = np.array([0.55, 0.52, 0.47]) * rng.uniform(0.6, 1.2)
    soil[inside] = grey * (0.9 + 0.1 * ((cy - y) / ry + 0 * x)[inside])[:, None]
