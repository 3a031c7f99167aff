"""Run-length encoded masks (RLE), as COCO's files and pycocotools have them.

An RLE is a dict of "size", [H, W], and "counts": the lengths of runs of background, object,
background, ... down the columns of the mask, the first of which may be 0. The counts are a list of
integers or, compressed, a text. Every RLE that this module returns is compressed and ready for
JSON; every one that it takes may be in any form, bytes included, and must describe H x W pixels:
pycocotools reads beyond its memory otherwise, so RLEs of unknown origin go through ``checked``
first.

Shape letters: N, P masks, H W their pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from recseg_d2.errors import UserError

RLE = dict[str, Any]

_MASKS_AT_A_TIME = 64  # pycocotools wants another memory order, hence a copy of each block
# A compressed count is written in digits of 5 bits, the lowest first, each a character from "0" on.
_FIRST, _BITS, _MORE, _SIGN = ord("0"), 5, 0x20, 0x10
_MOST_DIGITS = 7  # of a count: 35 bits
_MOST_PIXELS = 2**32 - 1  # of a mask: pycocotools counts in 32 bits


def encode(mask: np.ndarray) -> RLE:
    """The RLE of an (H, W) mask, bool or 0 and 1."""
    return encode_masks(mask[None])[0]


def encode_masks(masks: np.ndarray) -> list[RLE]:
    """The RLE of each of (N, H, W) masks, bool or 0 and 1."""
    rles: list[RLE] = []
    for first in range(0, len(masks), _MASKS_AT_A_TIME):
        block = masks[first : first + _MASKS_AT_A_TIME].transpose(1, 2, 0)
        rles += map(_as_text, coco_mask.encode(np.asfortranarray(block, dtype=np.uint8)))
    return rles


def encode_labels(labels: np.ndarray) -> dict[int, RLE]:
    """The RLE of each label above 0 of an (H, W) label map, in increasing order of the labels.

    All masks come out of one pass over the runs of the label map, however many objects there are.
    """
    if not labels.size:
        return {}
    flat = labels.ravel(order="F")
    starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]])
    ends = np.r_[starts[1:], flat.size]
    order = np.argsort(flat[starts], kind="stable")
    values, first = np.unique(flat[starts][order], return_index=True)
    rles = {}
    for value, runs in zip(values, np.split(order, first[1:]), strict=True):
        if value > 0:
            edges = np.stack([starts[runs], ends[runs]], axis=1).ravel()
            counts = np.diff(np.r_[0, edges, flat.size])
            rles[int(value)] = _compress(counts[: len(counts) - (counts[-1] == 0)], labels.shape)
    return rles


def encode_polygons(polygons: Sequence[Sequence[float]], shape: tuple[int, int]) -> RLE:
    """The RLE of what any of some polygons covers.

    Args:
        polygons: one or more of [x0, y0, x1, y1, ...] in pixels, of three or more points each.
        shape: H and W; what lies outside of the image is cut off.
    """
    return _as_text(coco_mask.merge(coco_mask.frPyObjects(list(polygons), *shape)))


def union(rles: Sequence[RLE]) -> RLE:
    """The RLE of what any of some masks of one size covers, ready for JSON."""
    return _as_text(coco_mask.merge(list(rles)))


def decode(rle: RLE, source: str = "RLE") -> np.ndarray:
    """The (H, W) uint8 mask, 0 or 1.

    Raises:
        UserError: as ``run_lengths``.
    """
    runs = run_lengths(rle, source)
    height, width = rle["size"]
    inside = np.arange(len(runs), dtype=np.uint8) & 1
    # pycocotools' decoder warns under NumPy 2, once a mask, and trusts the counts.
    return np.repeat(inside, runs).reshape(width, height).T


def checked(rle: RLE, source: str) -> RLE:
    """The same mask compressed and ready for JSON, once its counts are known to be whole.

    Args:
        rle: a run-length encoded mask in any of COCO's forms, of unknown origin.
        source: where the mask is from, for the error message.

    Raises:
        UserError: as ``run_lengths``.
    """
    runs = run_lengths(rle, source)
    if isinstance(rle["counts"], (str, bytes)):
        return _as_text(rle)
    return _compress(runs, rle["size"])


def run_lengths(rle: RLE, source: str = "RLE") -> np.ndarray:
    """The (R,) int64 lengths of background, object, background, ... down the columns.

    Raises:
        UserError: a part is missing or of another type, the counts cannot be read, or they are not
            those of H x W pixels.
    """
    height, width = size_of(rle, source)
    counts = rle.get("counts")
    if isinstance(counts, (str, bytes)):
        runs = _expand(counts, source)
    else:
        runs = _whole_numbers(counts, source)
    total = int(runs.sum()) if runs.max(initial=0) <= height * width else int(runs.max())
    if total != height * width or runs.min(initial=0) < 0:
        raise UserError(
            f"{source}: found an RLE of {total} pixels in all, expected the {height * width} "
            f"of {width}x{height}; its counts are damaged, or no alternating lengths of background "
            "and object (pairs of start and length are none)."
        )
    return runs


def size_of(rle: RLE, source: str = "RLE") -> tuple[int, int]:
    """Height and width of a mask.

    Raises:
        UserError: the size is missing, or no two whole numbers that pycocotools can count up to.
    """
    size = rle.get("size")
    sides = list(size) if isinstance(size, (list, tuple)) else []
    if len(sides) != 2 or not all(_is_side(side) for side in sides):
        raise UserError(f"{source}: found an RLE of size {size!r}, expected [height, width].")
    height, width = (int(side) for side in sides)
    if height * width > _MOST_PIXELS:
        raise UserError(f"{source}: found an RLE of {width}x{height} pixels, which is too large.")
    return height, width


def areas(rles: Sequence[RLE]) -> np.ndarray:
    """(N,) int64, pixels of each mask."""
    # One by one: pycocotools fails on lists of more than 255.
    return np.array([int(coco_mask.area(rle)) for rle in rles], dtype=np.int64)


def boxes(rles: Sequence[RLE]) -> np.ndarray:
    """(N, 4) float64 x, y, width, height in pixels, tight around each mask; 0 for an empty one."""
    return np.asarray(coco_mask.toBbox(list(rles)), dtype=np.float64).reshape(-1, 4)


def overlaps(
    found: Sequence[RLE], true: Sequence[RLE], crowds: Sequence[bool] | np.ndarray | None = None
) -> np.ndarray:
    """Intersection over union of every pair of masks of one size.

    Args:
        found: compressed RLEs of P masks.
        true: compressed RLEs of N masks.
        crowds: (N,) which of ``true`` are regions of several objects, where the intersection counts
            as a share of the found mask alone; None means none is.

    Returns:
        (P, N) float64 in [0, 1].
    """
    if not len(found) or not len(true):  # for which pycocotools has no array
        return np.zeros((len(found), len(true)))
    flags = np.zeros(len(true), bool) if crowds is None else np.asarray(crowds, dtype=bool)
    return np.asarray(coco_mask.iou(list(found), list(true), flags.astype(int).tolist()))


def _as_text(rle: RLE) -> RLE:
    counts = rle["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [int(side) for side in rle["size"]], "counts": text}


def _compress(runs: np.ndarray, size: Sequence[int]) -> RLE:
    height, width = (int(side) for side in size)
    rle = {"size": [height, width], "counts": runs.tolist()}
    return _as_text(coco_mask.frPyObjects(rle, height, width))


def _is_side(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0


def _whole_numbers(counts: Any, source: str) -> np.ndarray:
    """Uncompressed counts as (R,) int64."""
    try:
        found = np.asarray(counts)
    except ValueError:  # lists of different lengths in it
        found = np.asarray(None)
    whole = found.dtype.kind in "iu" or (found.dtype.kind == "f" and (found == found.round()).all())
    if found.ndim != 1 or not whole or not (np.abs(found) <= _MOST_PIXELS).all():
        raise UserError(
            f"{source}: found an RLE whose counts are no whole numbers, expected a list of the "
            "lengths of background, object, background, ..., or pycocotools' text."
        )
    return found.astype(np.int64)


def _expand(counts: str | bytes, source: str) -> np.ndarray:
    """The run lengths that compressed counts stand for, be they right or wrong.

    From the fourth on a count is written as its difference to the one before the last.
    """
    if isinstance(counts, str) and counts[:2] in ("b'", 'b"'):
        raise UserError(
            f"{source}: found an RLE whose counts are Python's text for bytes ({counts[:8]}...); "
            "write counts.decode() into the file."
        )
    text = counts.encode(errors="surrogatepass") if isinstance(counts, str) else counts
    digits = np.frombuffer(text, np.uint8) - np.uint8(_FIRST)  # other characters wrap around
    last = np.flatnonzero(digits < _MORE)
    first = np.r_[0, last + 1]
    lengths = np.diff(first)
    if (
        first[-1] != len(digits)
        or digits.max(initial=0) >= 2 * _MORE
        or lengths.max(initial=0) > _MOST_DIGITS
    ):
        raise UserError(f"{source}: found an RLE whose compressed counts are cut or damaged.")
    place = np.arange(len(digits)) - np.repeat(first[:-1], lengths)
    parts = (digits & (_MORE - 1)).astype(np.int64) << (_BITS * place)
    runs = np.add.reduceat(parts, first[:-1]) if len(last) else parts
    runs -= (digits[last] & _SIGN > 0).astype(np.int64) << (_BITS * lengths)
    runs[1::2], runs[2::2] = np.cumsum(runs[1::2]), np.cumsum(runs[2::2])
    return runs
