"""Masks as files have them, checked and brought to two forms: polygons, and compressed RLE.

This is the one place that masks of unknown origin pass before pycocotools sees them, whose C code
reads and writes beyond its memory where a mask is not what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from recseg_d2 import rle
from recseg_d2.errors import UserError

Polygons = list[list[float]]

_FEWEST_NUMBERS = 6  # of a polygon: three points
# Polygons may leave the image, by so many of its sides; pycocotools walks along their edges.
_FARTHEST = 10
_LETTERS = 60  # of a value in a message


def read_segmentation(
    given: Any, shape: tuple[int, int], source: str
) -> Polygons | rle.RLE | np.ndarray | None:
    """A mask in any of the forms that files have.

    Args:
        given: polygons as COCO's files have them, [[x0, y0, x1, y1, ...], ...]; a single polygon,
            flat or as points [x, y]; polygons as points; an RLE, compressed or not; a list of RLEs
            that are parts of one object; or an (H, W) array.
        shape: height and width of the image in pixels.
        source: names of the file and the annotation, for messages.

    Returns:
        Polygons of three or more points, flat, or a compressed RLE ready for JSON, or the array as
        bool; None where nothing is given, or no polygon of three points.

    Raises:
        UserError: the form is unknown, the mask's size is not the image's, an RLE is damaged, a
            polygon has half a point, no numbers, or points far from the image.
    """
    if given is None:
        return None
    if isinstance(given, np.ndarray):
        _check_size(given.shape, shape, source)
        return given.astype(bool)
    if isinstance(given, dict):
        return _rle(given, shape, source)
    if not isinstance(given, (list, tuple)):
        raise UserError(
            f"{source}: found an annotation whose segmentation is {type(given).__name__!r}, "
            "expected polygons, an RLE or a mask array; boxes alone cannot train masks."
        )
    if given and all(isinstance(part, dict) for part in given):
        parts = [_rle(part, shape, source) for part in given]
        return parts[0] if len(parts) == 1 else rle.union(parts)
    found = [_polygon(part, shape, source) for part in _parts(given)]
    return [polygon for polygon in found if len(polygon) >= _FEWEST_NUMBERS] or None


def is_empty(given: Any) -> bool:
    """Whether ``read_segmentation`` gives None, at the cost of a look at the lengths."""
    if given is None:
        return True
    if not isinstance(given, (list, tuple)) or any(isinstance(part, dict) for part in given):
        return False
    return all(isinstance(p, (list, tuple)) and _length(p) < _FEWEST_NUMBERS for p in _parts(given))


def to_rle(segmentation: Polygons | rle.RLE | np.ndarray, shape: tuple[int, int]) -> rle.RLE:
    """The RLE of what ``read_segmentation`` returned."""
    if isinstance(segmentation, dict):
        return segmentation
    if isinstance(segmentation, np.ndarray):
        return rle.encode(segmentation)
    return rle.encode_polygons(segmentation, shape)


def _parts(given: Sequence[Any]) -> Sequence[Any]:
    """The polygons of a segmentation, which may be a single one."""
    single = all(_is_number(part) for part in given) or all(_is_point(part) for part in given)
    return [given] if given and single else given


def _length(polygon: Sequence[Any]) -> int:
    """Numbers of a polygon, flat or of points."""
    return len(polygon) * (2 if polygon and _is_point(polygon[0]) else 1)


def _rle(given: dict[str, Any], shape: tuple[int, int], source: str) -> rle.RLE:
    size = rle.size_of(given, source)
    if size == shape[::-1] != shape:
        raise UserError(
            f"{source}: found an RLE of size [{size[0]}, {size[1]}], which is [width, height] of "
            f"the image: expected [{shape[0]}, {shape[1]}] with counts down the columns; write the "
            "annotations again."
        )
    _check_size(size, shape, source)
    return rle.checked(given, source)


def _polygon(points: Any, shape: tuple[int, int], source: str) -> list[float]:
    """A polygon as x0, y0, x1, y1, ..."""
    try:
        array = np.asarray(points)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.ndim == 2 and array.shape[1] == 2:
        array = array.ravel()
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise UserError(
            f"{source}: found {_short(points)} as a polygon, expected numbers [x0, y0, x1, y1, ...]"
        )
    if array.size < _FEWEST_NUMBERS:
        return array.tolist()  # dropped, whatever it holds
    if array.size % 2:
        raise UserError(
            f"{source}: found a polygon of {array.size} numbers; a polygon needs x and y of each "
            "of at least 3 points."
        )
    flat = array.astype(float)
    sides = np.tile(shape[::-1], flat.size // 2)
    if not ((-_FARTHEST * sides <= flat) & (flat <= (1 + _FARTHEST) * sides)).all():
        raise UserError(
            f"{source}: found a polygon with points far outside of the image of "
            f"{shape[1]}x{shape[0]} pixels, or without a number; expected pixels."
        )
    return flat.tolist()


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_point(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and all(map(_is_number, value))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."


def _check_size(found: tuple[int, ...], expected: tuple[int, int], source: str) -> None:
    if tuple(found) != tuple(expected):
        raise UserError(
            f"{source}: found a mask of {'x'.join(map(str, found[::-1]))} pixels, expected the "
            f"image's {expected[1]}x{expected[0]}; annotate the image at its own size."
        )
