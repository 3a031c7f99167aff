"""Synthetic scenes: overlapping textured shapes of several classes.

The built-in data set for mask proposals and their classification. Only the shape tells the class:
colours, textures and sizes are drawn alike for all of them, the background is as colourful, and the
clutter on it (twigs) has no class at all. Shapes hide one another and reach over the border, and
their sizes are log-uniform over more than two octaves, which is what a pyramid of scales is for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recseg_d2.data.synthetic.drawing import cast_shadow, photograph, smooth_noise
from recseg_d2.data.synthetic.outlines import OUTLINES, inside

SHAPE_CLASSES = tuple(OUTLINES)

REFERENCE_SIZE = 128  # lengths below are in pixels of an image of this side, and scale with it
MIN_SIZE = 48  # the smallest image in which shapes are still more than a few pixels
SIDES = (14.0, 64.0)  # range of the longer side of a shape's box
MIN_VISIBLE_AREA = 50.0  # a shape of which less can be seen is not drawn
MIN_VISIBLE_SHARE = 0.45  # nor one of which less than this part of its own area can be seen
PLACEMENT_TRIES = 20  # for one shape, until it hides none of those below it
MIN_CONTRAST = 0.22  # Euclidean distance in RGB between a shape and either background colour
_COLOUR_RANGE = (0.1, 0.9)

_SHAPE_STREAM, _LOOK_STREAM = 0, 1  # independent random streams of one seed


@dataclass
class _Shape:
    """A shape's visible window: which pixels it covers there and its own coordinates."""

    category: int
    window: tuple[slice, slice]
    covered: np.ndarray  # (h, w) bool
    u: np.ndarray  # (h, w) its own axes, in shares of its longer side, about -0.5 to 0.5
    v: np.ndarray


def draw_scene(
    seed: int, size: int = REFERENCE_SIZE, objects: tuple[int, int] = (1, 8)
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Draw the scene of a seed.

    Args:
        seed: any integer >= 0.
        size: side of the square image in pixels, at least ``MIN_SIZE``.
        objects: fewest and most shapes; their number is uniform in between, except that a shape is
            left out if, in every try, some shape would show less than ``MIN_VISIBLE_AREA`` or
            less than ``MIN_VISIBLE_SHARE`` of itself.

    Returns:
        image: (size, size, 3) uint8 RGB.
        labels: (size, size) uint8; 0 is background, k the visible part of the k-th shape from
            below.
        classes: index in ``SHAPE_CLASSES`` of each shape, from below.
    """
    placed, labels = _place_shapes(seed, size, objects)
    rng = np.random.default_rng((seed, _LOOK_STREAM))
    ground = rng.uniform(*_COLOUR_RANGE, (2, 3))
    canvas = _draw_ground(rng, size, ground)
    for shape in placed:
        cast_shadow(canvas, shape.window, shape.covered, size / REFERENCE_SIZE, 0.8)
        _paint_shape(canvas, shape, ground, rng)
    return photograph(canvas, rng), labels, [shape.category for shape in placed]


def draw_scene_labels(
    seed: int, size: int = REFERENCE_SIZE, objects: tuple[int, int] = (1, 8)
) -> tuple[np.ndarray, list[int]]:
    """Labels and classes of ``draw_scene`` for the same arguments, without the image's cost."""
    placed, labels = _place_shapes(seed, size, objects)
    return labels, [shape.category for shape in placed]


# -------------------------------------------------------------------------------------- geometry


def _place_shapes(
    seed: int, size: int, objects: tuple[int, int]
) -> tuple[list[_Shape], np.ndarray]:
    """Put shapes one over the other, such that enough can be seen of each in the end."""
    rng = np.random.default_rng((seed, _SHAPE_STREAM))
    scale = size / REFERENCE_SIZE
    labels = np.zeros((size, size), np.uint8)
    placed: list[_Shape] = []
    for _ in range(int(rng.integers(objects[0], objects[1] + 1))):
        for _ in range(PLACEMENT_TRIES):
            shape = _make_shape(rng, size)
            covered = labels.copy()
            covered[shape.window][shape.covered] = len(placed) + 1
            if _all_visible([*placed, shape], covered, MIN_VISIBLE_AREA * scale**2):
                labels = covered
                placed.append(shape)
                break
    return placed, labels


def _all_visible(shapes: list[_Shape], labels: np.ndarray, least_area: float) -> bool:
    visible = np.bincount(labels.ravel(), minlength=len(shapes) + 1)[1:]
    own = np.array([shape.covered.sum() for shape in shapes])
    return bool((visible >= np.maximum(least_area, MIN_VISIBLE_SHARE * own)).all())


def _make_shape(rng: np.random.Generator, size: int) -> _Shape:
    """A shape of random class, form, size, angle and place; its centre is in the image."""
    category = int(rng.integers(len(SHAPE_CLASSES)))
    outline = OUTLINES[SHAPE_CLASSES[category]](rng) * (rng.uniform(0.75, 1), 1)
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = outline @ np.array([[cos, -sin], [sin, cos]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    side = np.exp(rng.uniform(*np.log(SIDES))) * size / REFERENCE_SIZE
    margin = min(0.35 * side, 0.25 * size)
    centre = rng.uniform(margin, size - margin, 2)
    corners = (turned - (low + high) / 2) * (side / (high - low).max()) + centre
    first = np.clip(np.floor(corners.min(axis=0)), 0, size - 1).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0)), first + 1, size).astype(int)
    y = np.arange(first[0], last[0])[:, None] + 0.5
    x = np.arange(first[1], last[1])[None, :] + 0.5
    dy, dx = (y - centre[0]) / side, (x - centre[1]) / side
    window = (slice(first[0], last[0]), slice(first[1], last[1]))
    return _Shape(category, window, inside(corners, y, x), dy * cos + dx * sin, dx * cos - dy * sin)


# ----------------------------------------------------------------------------------------- look


def _paint_shape(
    canvas: np.ndarray, shape: _Shape, ground: np.ndarray, rng: np.random.Generator
) -> None:
    """Colour a shape: a texture of two tones in its own coordinates, lit from one side."""
    colour = _contrasting_colour(rng, ground)
    tone = _texture(rng, shape.u, shape.v)
    lit = 1 + rng.uniform(-0.3, 0.3) * shape.u + rng.uniform(-0.3, 0.3) * shape.v
    pixels = colour * (lit * (1 + rng.uniform(0.06, 0.25) * tone))[..., None]
    canvas[shape.window][shape.covered] = pixels[shape.covered]


def _contrasting_colour(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """Any colour that is not one of the background's two."""
    while True:
        colour = rng.uniform(*_COLOUR_RANGE, 3)
        if np.linalg.norm(ground - colour, axis=1).min() >= MIN_CONTRAST:
            return colour


def _texture(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Plain, stripes, checks or dots; about -1 to 1, of the shape of u and v."""
    kind, pitch = rng.integers(4), rng.uniform(12, 40)
    phase, turn = rng.uniform(0, 2 * np.pi, 2)
    a, b = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    first, second = np.sin(pitch * a + phase), np.sin(pitch * b + phase)
    plain = np.zeros_like(u)
    return (plain, first, np.sign(first * second), np.where(first + second > 1, 1.0, -0.3))[kind]


def _draw_ground(rng: np.random.Generator, size: int, ground: np.ndarray) -> np.ndarray:
    """Patches of two colours, grain, ripples, and twigs on top. (size, size, 3)."""
    patches = smooth_noise(rng, size, 6) + 0.6 * smooth_noise(rng, size, 14)
    mix = np.clip(0.5 + 1.5 * patches, 0, 1)[..., None]
    canvas = ground[0] * (1 - mix) + ground[1] * mix
    y, x = np.mgrid[:size, :size] / size - 0.5
    relief = 0.12 * smooth_noise(rng, size, 40) + 0.1 * _texture(rng, 1.5 * y, 1.5 * x)
    canvas *= (1 + relief + rng.normal(0, 0.05, (size, size)))[..., None]
    for _ in range(rng.integers(2, 9)):
        _drop_twig(canvas, rng)
    return canvas


def _drop_twig(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """A thin straight line of any colour."""
    size = canvas.shape[0]
    y, x = np.ogrid[:size, :size]
    centre, angle = rng.uniform(0, size, 2), rng.uniform(0, np.pi)
    length, width = rng.uniform((6, 0.6), (30, 1.4)) * size / REFERENCE_SIZE
    along = (y - centre[0]) * np.sin(angle) + (x - centre[1]) * np.cos(angle)
    across = (y - centre[0]) * np.cos(angle) - (x - centre[1]) * np.sin(angle)
    canvas[(np.abs(along) < length) & (np.abs(across) < width)] = rng.uniform(*_COLOUR_RANGE, 3)
