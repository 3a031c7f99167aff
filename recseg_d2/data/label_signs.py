"""Signs that a label map is not what it seems to be: one integer an object, 0 for background.

A map that is read without an error may still be a binary mask, smoothed, or have another
background. Each check here says what it saw; thresholds are shares of an image's labels, so that
they hold for four leaves and for a thousand cells.

Shape letters: H W pixels, N labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product

import numpy as np
from scipy import ndimage

# A label of some extent has a pixel whose eight neighbours are of the label, too; the bands that
# smoothing and JPEG leave along the edges of such labels have none.
_MOST_BANDS, _FEWEST_BANDS = 0.5, 4  # share of the labels that may be bands, and their number
_MANY, _SPECK_AREA = 32, 2  # so many labels, half of them on no more pixels, are none
_BORDER_SHARE = 0.5  # of the image's border that a background covers at least
_OUTLINE_WIDTH = 3  # pixels from the middle of an outline to its edge, at most
_OUTLINE_SHARE = 0.5  # of an outline's pixels beside objects, at least
_NEIGHBOURS = np.ones((3, 3), bool)  # regions that touch at a corner are one
_SPECK = 0.02  # of an object's area, under which a region of it does not count
_FAR = 0.1  # of an object's side, from which on its regions lie apart


@dataclass(frozen=True)
class LabelSigns:
    """What one label map shows.

    Attributes:
        regions: number of connected regions of the only label, where it has several; else 0.
        background: the label that surrounds the others in the place of 0; else 0.
        outline: the label that outlines the others; else 0.
        far_apart: labels of several regions that lie far from each other.
    """

    regions: int = 0
    background: int = 0
    outline: int = 0
    far_apart: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


def find_signs(labels: np.ndarray) -> LabelSigns:
    """Look at an (H, W) label map of integers of 0 or more."""
    values, labels = _consecutive(labels)
    if not labels.any():
        return LabelSigns()
    boxes = ndimage.find_objects(labels)
    present = [(n, box) for n, box in enumerate(boxes, start=1) if box is not None]
    background = _background(labels)
    if len(present) == 1 and not background:
        return LabelSigns(regions=_count_regions(labels == present[0][0]))
    last = present[-1][0]
    outline = last if last != background and _is_outline(labels, last) else 0
    far = [n for n, box in present if n not in (background, outline)]
    return LabelSigns(
        background=int(values[background]),
        outline=int(values[outline]),
        far_apart=sum(_is_far_apart(labels[boxes[n - 1]] == n) for n in far),
    )


def count_smoothed(labels: np.ndarray) -> int:
    """Number of labels of an (H, W) label map, if most are remains of others; else 0.

    So looks a label map that was resized with interpolation, or went through JPEG: many labels on
    hardly a pixel each, or narrow bands along the edges of the labels that have some extent.
    """
    present, areas = np.unique(labels[labels > 0], return_counts=True)
    if len(present) >= _MANY and np.median(areas) <= _SPECK_AREA:
        return len(present)
    bands, solid = _bands(labels)
    enough = len(bands) >= _FEWEST_BANDS and len(bands) > _MOST_BANDS * (len(bands) + len(solid))
    return len(present) if enough else 0


def split_regions(labels: np.ndarray) -> np.ndarray:
    """An (H, W) int32 map in which each connected region of a label has a label of its own."""
    _, labels = _consecutive(labels)
    split = np.zeros(labels.shape, np.int32)
    count = 0
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            regions, found = ndimage.label(labels[box] == number, _NEIGHBOURS)
            split[box][regions > 0] = regions[regions > 0] + count
            count += found
    return split


def _consecutive(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N + 1,) values, 0 first, and the map in which they are 0, 1, ..., N."""
    values, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.reshape(labels.shape)
    return (values, numbers) if values[0] == 0 else (np.r_[0, values], numbers + 1)


def _bands(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels without extent beside labels of some extent, and the latter."""
    inner = np.ones(labels.shape, bool)
    for shifted in _shifts(labels):
        inner &= shifted == labels
    solid = np.unique(labels[inner & (labels > 0)])
    thin = np.where(np.isin(labels, solid), 0, labels)
    beside = np.zeros(labels.shape, bool)
    for shifted in _shifts(np.where(thin > 0, 0, labels)):
        beside |= shifted > 0
    bands = np.unique(thin[beside])
    return bands[bands > 0], solid


def _shifts(labels: np.ndarray) -> Iterator[np.ndarray]:
    """The map moved by one pixel in each of eight directions, 0 coming in."""
    height, width = labels.shape
    padded = np.pad(labels, 1)
    for down, right in product(range(3), repeat=2):
        if (down, right) != (1, 1):
            yield padded[down : down + height, right : right + width]


def _background(labels: np.ndarray) -> int:
    """The label that is most of the image's border on all sides where 0 is not, or 0."""
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    values, counts = np.unique(np.concatenate(sides), return_counts=True)
    most = values[counts.argmax()]
    enough = counts.max() >= _BORDER_SHARE * counts.sum()
    others = np.unique(labels)
    surrounds = all((side == most).any() for side in sides) and len(others[others > 0]) > 1
    return int(most) if enough and surrounds else 0


def _is_outline(labels: np.ndarray, number: int) -> bool:
    """Whether a label is a thin line, most of it beside other labels."""
    mask = labels == number
    depth = ndimage.distance_transform_cdt(np.pad(mask, 1), "chessboard")[1:-1, 1:-1]
    if depth.max() > _OUTLINE_WIDTH:
        return False
    near = ndimage.maximum_filter(np.where(mask, 0, labels), 2 * _OUTLINE_WIDTH + 1)
    areas = np.bincount(labels.ravel())
    beside = near[mask]
    around, others = len(np.unique(beside[beside > 0])), np.count_nonzero(areas[1:]) - 1
    return bool((beside > 0).mean() >= _OUTLINE_SHARE and around == others > 1)


def _count_regions(mask: np.ndarray) -> int:
    """Regions of a mask that are no specks; 0 where there is one."""
    regions, _ = ndimage.label(mask, _NEIGHBOURS)
    areas = np.bincount(regions.ravel())[1:]
    count = int((areas >= max(2, _SPECK * areas.sum())).sum())
    return count if count > 1 else 0


def _is_far_apart(mask: np.ndarray) -> bool:
    """Whether the largest two regions are apart by more than what hides a part of an object."""
    regions, count = ndimage.label(mask, _NEIGHBOURS)
    if count < 2:
        return False
    areas = np.bincount(regions.ravel())[1:]
    first, second = areas.argsort()[::-1][:2]
    boxes = ndimage.find_objects(regions)
    if areas[second] < max(2, _SPECK * areas.sum()):
        return False
    sides = [side.stop - side.start for side in boxes[first]]
    return _gap(boxes[first], boxes[second]) > max(2, _FAR * max(sides))


def _gap(one: Sequence[slice], other: Sequence[slice]) -> int:
    """Pixels between two boxes, along the axis where they are further apart."""
    return max(max(a.start, b.start) - min(a.stop, b.stop) for a, b in zip(one, other, strict=True))
