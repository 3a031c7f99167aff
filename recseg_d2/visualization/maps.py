"""Maps of numbers as pictures: heat over an image, angles as hues, classes.

Shape letters: H W the panel's pixels, h w the map's own.
"""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image, ImageDraw

from recseg_d2.visualization.overlays import LUMA
from recseg_d2.visualization.palette import instance_colors

HEAT = np.array((255, 120, 0), dtype=np.float64)  # where a map is at its largest
HEAT_SHARE = 0.6  # of the heat's colour there, the rest is the image in grey
DIMMED = 0.75  # brightness of the image under a map's zeros
OUTLINE_PART = 96  # an outline is one 96th of the panel's longer side thick, and 1 pixel at least


def resize_map(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) numbers to (H, W) float32, bilinear, each value over its own share of the panel."""
    image = Image.fromarray(np.asarray(values, dtype=np.float32))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def draw_heat(image: np.ndarray, values: np.ndarray, top: float | None = None) -> np.ndarray:
    """Colour an image by a map.

    Args:
        image: (H, W, 3) uint8 RGB.
        values: (h, w), the map, 0 or more; it is resized to the image.
        top: the value of the full colour; None takes the map's largest.

    Returns:
        (H, W, 3) uint8.
    """
    top = float(np.max(values)) if top is None else top
    share = np.clip(resize_map(values, image.shape[:2]) / max(top, 1e-12), 0, 1)[..., None]
    grey = (image @ LUMA)[..., None] * (DIMMED + (1 - DIMMED) * share)
    mixed = grey * (1 - HEAT_SHARE * share) + HEAT * HEAT_SHARE * share
    return np.round(mixed).astype(np.uint8)


def draw_rectangle(image: np.ndarray, box: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Outline a box; what lies outside of the image is cut off.

    Args:
        image: (H, W, 3) uint8 RGB; it is not changed.
        box: (4,) y, x of the centre, height, width, as shares of the image's sides.
        color: (3,) uint8 RGB.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = image.shape[:2]
    y, x, h, w = np.asarray(box, dtype=np.float64) * (height, width, height, width)
    top, left = np.clip((y - h / 2, x - w / 2), -height - width, height + width)
    bottom, right = np.clip((y + h / 2, x + w / 2), (top, left), 2 * (height + width))
    picture = Image.fromarray(image)
    thickness = max(1, round(max(height, width) / OUTLINE_PART))
    corners = (float(left), float(top), float(right), float(bottom))
    ImageDraw.Draw(picture).rectangle(corners, outline=tuple(color.tolist()), width=thickness)
    return np.asarray(picture)


def draw_foreground(foreground: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """One channel as grey, several as their classes' colours, the first of them black.

    Args:
        foreground: (F, h, w) probabilities.
        size: height and width of the result in pixels.

    Returns:
        (H, W, 3) uint8.
    """
    count = len(foreground)
    white = np.full((1, 3), 255.0)
    colors = white if count == 1 else np.vstack([np.zeros((1, 3)), instance_colors(count - 1)])
    return _blend(foreground, colors, size)


def draw_angles(angles: np.ndarray, foreground: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Angle classes as hues once around the wheel, from red for class 0; dark off the objects.

    Args:
        angles: (8, h, w) probabilities.
        foreground: (F, h, w) probabilities; one channel, or the background first.
        size: height and width of the result in pixels.

    Returns:
        (H, W, 3) uint8.
    """
    inside = foreground[0] if len(foreground) == 1 else 1 - foreground[0]
    return _blend(angles * inside, wheel(len(angles)), size)


def wheel(count: int) -> np.ndarray:
    """(count, 3) float RGB in 0..255: hues at even distances, from red."""
    return np.array([colorsys.hsv_to_rgb(k / count, 1.0, 1.0) for k in range(count)]) * 255


def _blend(shares: np.ndarray, colors: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(K, h, w) shares of (K, 3) colours -> (H, W, 3) uint8."""
    resized = np.stack([resize_map(share, size) for share in shares], axis=-1)
    return np.round(np.clip(resized @ colors, 0, 255)).astype(np.uint8)
