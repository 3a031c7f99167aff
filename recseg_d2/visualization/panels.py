"""Panels of a figure: bring an image to a size, caption it, lay panels out.

Shape letters: H W the given image's pixels, h w the panel's pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PANEL_SIDE = 192  # longest side of a panel in pixels, unless told
GAP = 6  # pixels between panels and around the figure
FONT_SIZE = 13  # pixels
PAPER = (255, 255, 255)
INK = (40, 40, 40)
EMPTY_PANEL = (236, 236, 236)


@dataclass(frozen=True)
class Panel:
    """One picture of a figure.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        caption: printed above it, cut to its width; "" leaves the line empty.
    """

    image: np.ndarray
    caption: str = ""


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Any 8-bit image as RGB: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), whose alpha is dropped.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: another dtype or shape, or no pixels.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[:, :, None]
    fits = image.ndim == 3 and image.shape[2] in (1, 3, 4) and image.size > 0
    if image.dtype != np.uint8 or not fits:
        raise ValueError(
            f"Cannot draw on an image of dtype {image.dtype} and shape {image.shape}; expected "
            "uint8 of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."
        )
    channels = [0, 0, 0] if image.shape[2] == 1 else [0, 1, 2]
    return np.ascontiguousarray(image[:, :, channels])


def fitted_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Height and width, at least 1 each, with the longer one equal to ``side``."""
    height, width = size
    scale = side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize_picture(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 to (h, w, 3): smooth where it shrinks, square pixels where it grows."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] < image.shape[0]
    method = Image.Resampling.LANCZOS if shrinks else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), method))


def empty_panel(size: tuple[int, int], text: str) -> np.ndarray:
    """(h, w, 3) uint8: a grey field with a word in its middle."""
    canvas = Image.new("RGB", (size[1], size[0]), EMPTY_PANEL)
    centre = (size[1] / 2, size[0] / 2)
    ImageDraw.Draw(canvas).text(centre, text, fill=INK, font=font(), anchor="mm")
    return np.asarray(canvas)


def lay_out(rows: Sequence[Sequence[Panel | None]]) -> Image.Image:
    """Panels in a table on white, each column as wide as its widest panel.

    Args:
        rows: the table; None leaves a place empty, and rows may differ in length.

    Raises:
        ValueError: there is no panel at all.
    """
    placed = [(r, c, p) for r, row in enumerate(rows) for c, p in enumerate(row) if p is not None]
    if not placed:
        raise ValueError("A figure needs at least one panel.")
    widths = [0] * (1 + max(c for _, c, _ in placed))
    heights = [0] * len(rows)
    lines = [0] * len(rows)
    for r, c, panel in placed:
        widths[c] = max(widths[c], panel.image.shape[1])
        heights[r] = max(heights[r], panel.image.shape[0])
        lines[r] = max(lines[r], caption_height() if panel.caption else 0)
    lefts = np.cumsum([GAP] + [width + GAP for width in widths])
    tops = np.cumsum([GAP] + [h + line + GAP for h, line in zip(heights, lines, strict=True)])
    figure = Image.new("RGB", (int(lefts[-1]), int(tops[-1])), PAPER)
    for r, c, panel in placed:
        corner = (int(lefts[c]) + (widths[c] - panel.image.shape[1]) // 2, int(tops[r]) + lines[r])
        _paste(figure, panel, corner, int(lefts[c]), widths[c])
    return figure


def wrap_columns(
    columns: Sequence[Sequence[Panel | None]], per_row: int
) -> list[list[Panel | None]]:
    """Rows of a figure made of columns, in bands of ``per_row`` columns below each other.

    Args:
        columns: columns of panels, each from top to bottom; the first one stands in the first band
            only, and later bands leave its place empty. Columns may differ in height.
        per_row: columns in a band, the first one included.

    Raises:
        ValueError: ``per_row`` is below 2.
    """
    if per_row < 2:
        raise ValueError(f"columns is {per_row}; expected 2 or more (the image and a step).")
    first, rest = columns[0], columns[1:]
    rows: list[list[Panel | None]] = []
    for start in range(0, len(rest), per_row - 1):
        band = [first if start == 0 else (), *rest[start : start + per_row - 1]]
        rows += [list(row) for row in itertools.zip_longest(*band)]
    return rows


def _paste(
    figure: Image.Image, panel: Panel, corner: tuple[int, int], left: int, width: int
) -> None:
    """Put the panel with its top left at ``corner``, its caption centred over the column."""
    figure.paste(Image.fromarray(panel.image), corner)
    if panel.caption:
        middle = (left + width / 2, corner[1] - caption_height() / 2)
        text = shorten(panel.caption, width)
        ImageDraw.Draw(figure).text(middle, text, fill=INK, font=font(), anchor="mm")


@lru_cache(maxsize=4)
def font(size: int = FONT_SIZE) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that figures are the same on every machine."""
    return ImageFont.load_default(size)


def caption_height() -> int:
    """Pixels of a caption's line."""
    return FONT_SIZE + 5


def shorten(text: str, width: int) -> str:
    """The text if it fits into ``width`` pixels, else as much of its start and end as does."""
    if font().getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        cut = text[: kept - kept // 2] + "..." + text[len(text) - kept // 2 :]
        if font().getlength(cut) <= width:
            return cut
    return text[:1]
