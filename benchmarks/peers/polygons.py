"""Label maps as the polygons that YOLO reads.

Pixel (column i, row j) is the square from (i, j) to (i + 1, j + 1). An outline runs along the sides
of pixels, so its area is theirs. What is written for YOLO runs through the middles of the outermost
pixels instead: YOLO fills polygons with OpenCV, which adds the pixels that their sides touch, half
a pixel on average, and masks to learn from outlines along the sides would be that much too large.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

MIN_PIECE_AREA = 12  # pixels; smaller pieces of objects at the sides of tiles are no objects
HALF_A_PIXEL = 0.5

# Directions right, down, left, up: the step, and the pixels ahead to the right and to the left of
# a corner, as (row, column) from the corner's.
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
_AHEAD_RIGHT = ((0, 0), (0, -1), (-1, -1), (-1, 0))
_AHEAD_LEFT = ((-1, 0), (0, 0), (0, -1), (-1, -1))


def trace_outline(mask: np.ndarray) -> np.ndarray:
    """The outer outline of the largest 4-connected component of a mask; holes are left out.

    Args:
        mask: (H, W) bool with at least one pixel.

    Returns:
        (P, 2) float64 corners (x, y), clockwise, those in the middle of a straight line left out.
    """
    components, _ = ndimage.label(mask)
    inside = np.pad(components == np.bincount(components.ravel())[1:].argmax() + 1, 1)
    row, column = (int(value) for value in np.argwhere(inside)[0])
    heading, corners = 0, [(column, row)]  # from the upper left corner of the first pixel
    while True:
        row, column = row + _STEPS[heading][0], column + _STEPS[heading][1]
        if (column, row) == corners[0]:
            return np.array(corners, dtype=float) - 1
        turn = _turn(inside, row, column, heading)
        if turn:
            corners.append((column, row))
        heading = (heading + turn) % 4


def _turn(inside: np.ndarray, row: int, column: int, heading: int) -> int:
    """1 to the right, -1 to the left, 0 straight on, such that the object stays on the right."""
    y, x = _AHEAD_RIGHT[heading]
    if not inside[row + y, column + x]:
        return 1
    y, x = _AHEAD_LEFT[heading]
    return -1 if inside[row + y, column + x] else 0


def label_map_to_polygons(labels: np.ndarray) -> list[np.ndarray]:
    """The outlines of all objects of a label map (H, W), in the order of their labels."""
    outlines = []
    for label, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is not None:
            outline = trace_outline(labels[window] == label)
            outlines.append(np.add(outline, (window[1].start, window[0].start)))
    return outlines


def inset(outline: np.ndarray, by: float = HALF_A_PIXEL) -> np.ndarray:
    """An outline moved inwards.

    Args:
        outline: (P, 2) corners (x, y) as of ``trace_outline``.
        by: pixels, at most half of one.

    Returns:
        (P, 2) corners; from half a pixel on, what is one pixel wide has no area left.
    """
    along = np.sign(np.roll(outline, -1, axis=0) - outline)  # of the side after each corner
    inwards = np.stack([-along[:, 1], along[:, 0]], axis=1)  # clockwise: the object is on the right
    return outline + by * (inwards + np.roll(inwards, 1, axis=0))


def yolo_lines(labels: np.ndarray) -> list[str]:
    """The lines of YOLO's label file: class 0, then x y as shares of width and height."""
    height, width = labels.shape
    return [
        " ".join(["0", *(f"{value:.6f}" for value in (inset(outline) / (width, height)).ravel())])
        for outline in label_map_to_polygons(labels)
    ]


def tiles(shape: tuple[int, int], size: int) -> list[tuple[slice, slice]]:
    """Windows of at most ``size`` a side that cover an image, evenly spread, as few as possible."""
    rows, columns = (_spans(length, size) for length in shape)
    return [(row, column) for row in rows for column in columns]


def without_pieces(labels: np.ndarray) -> np.ndarray:
    """The label map without objects of fewer than ``MIN_PIECE_AREA`` pixels."""
    areas = np.bincount(labels.ravel())
    return np.where(areas[labels] < MIN_PIECE_AREA, 0, labels)


def _spans(length: int, size: int) -> list[slice]:
    if length <= size:
        return [slice(0, length)]
    starts = np.linspace(0, length - size, math.ceil(length / size)).round().astype(int)
    return [slice(int(start), int(start) + size) for start in starts]
