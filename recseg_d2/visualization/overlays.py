"""Masks or a label map over an image, with contours and the count.

Shape letters: K instances, H W pixels. Images are uint8 RGB or grey; see ``instances`` for the
forms that masks come in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from recseg_d2.visualization.instances import count_of, count_text, each_mask, fit_masks
from recseg_d2.visualization.palette import instance_colors
from recseg_d2.visualization.panels import as_rgb, fitted_size, font, resize_picture

FILL_SHARE = 0.55  # of the instance's colour inside its mask, the rest is the image in grey
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601: how bright R, G and B look
CONTOUR_WHITE = 0.35  # white in a contour's colour, so that dark colours show on dark images
CONTOUR_PART = 300  # a contour is one 300th of the image's longer side thick, and 1 pixel at least
STAMP_PART = 40  # the count's letters are one 40th of the longer side high
SMALLEST_STAMP = 12  # pixels, what is still legible
SMALLEST_OVERLAY = 256  # smaller images are enlarged, or contours would hide them


def draw_masks(
    image: np.ndarray,
    instances: Any,
    colors: np.ndarray | None = None,
    fill_share: float = FILL_SHARE,
) -> np.ndarray:
    """Fill each mask with its colour, half transparent, and draw its contour.

    Later masks are drawn over earlier ones, contours over all fills.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8; it is not changed.
        instances: masks or a label map of the image's size; K may be 0.
        colors: (K, 3) uint8 RGB; None takes the palette's first K.
        fill_share: of the colour inside a mask, 0 to 1; the rest is the image in grey.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: the masks' size is not the image's, or there are fewer colours than masks.
    """
    canvas, count = as_rgb(image).copy(), count_of(instances)
    colors = instance_colors(count) if colors is None else np.asarray(colors)
    if len(colors) < count:
        raise ValueError(f"{len(colors)} colours for {count} masks.")
    height, width = canvas.shape[:2]
    thickness = max(1, round(max(height, width) / CONTOUR_PART))
    edges = []
    for mask, color in zip(each_mask(instances, (height, width)), colors, strict=False):
        window = _window(mask, margin=thickness)
        if window is None:
            continue
        inside = mask[window]
        grey = canvas[window][inside] @ LUMA[:, None]  # on a green leaf, purple has to stay purple
        fill = grey * (1 - fill_share) + color * fill_share
        canvas[window][inside] = np.round(fill).astype(np.uint8)
        edges.append((window, _contour(inside, thickness), color))
    for window, edge, color in edges:
        line = color * (1 - CONTOUR_WHITE) + 255 * CONTOUR_WHITE
        canvas[window][edge] = np.round(line).astype(np.uint8)
    return canvas


def draw_overlay(
    image: np.ndarray,
    instances: Any,
    side: int | None = None,
    show_count: bool = True,
    colors: np.ndarray | None = None,
) -> Image.Image:
    """The picture to look at after a prediction: masks over the image, and how many there are.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        instances: masks or a label map of the image's size.
        side: longest side of the result in pixels. None keeps the image's size, and enlarges
            those smaller than ``SMALLEST_OVERLAY``.
        show_count: print the number of instances into the top left corner.
        colors: (K, 3) uint8 RGB; None takes the palette's.
    """
    image = as_rgb(image)
    given = (image.shape[0], image.shape[1])
    size = fitted_size(given, side or max(SMALLEST_OVERLAY, *given))
    # at its own size, an image of many objects needs no more than one of their masks at a time
    shown = instances if size == given else fit_masks(instances, given, size)
    picture = Image.fromarray(draw_masks(resize_picture(image, size), shown, colors))
    if show_count:
        _stamp(picture, count_text(count_of(instances)))
    return picture


def _window(mask: np.ndarray, margin: int) -> tuple[slice, slice] | None:
    """The part of the image that holds the mask and a margin; None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    return slice(top, rows[-1] + margin + 1), slice(left, columns[-1] + margin + 1)


def _contour(mask: np.ndarray, thickness: int) -> np.ndarray:
    """(H, W) bool: the mask's pixels within ``thickness`` steps of its outside.

    What lies beyond the array counts as inside, so that an object cut by the image's border has
    no contour along it.
    """
    inner = mask
    for _ in range(thickness):
        padded = np.pad(inner, 1, constant_values=True)
        across = padded[1:-1, :-2] & padded[1:-1, 2:]
        inner = inner & across & padded[:-2, 1:-1] & padded[2:, 1:-1]
    return mask & ~inner


def _stamp(picture: Image.Image, text: str) -> None:
    """White text on a dark field in the top left corner, in place."""
    size = max(SMALLEST_STAMP, max(picture.size) // STAMP_PART)
    pad = size // 3
    draw = ImageDraw.Draw(picture, "RGBA")
    _, _, right, bottom = draw.textbbox((pad, pad), text, font=font(size))
    draw.rectangle((0, 0, right + pad, bottom + pad), fill=(0, 0, 0, 170))
    draw.text((pad, pad), text, fill=(255, 255, 255), font=font(size))
