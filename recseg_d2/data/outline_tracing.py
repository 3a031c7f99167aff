"""Outlines of masks along the edges of their pixels, so that filling them gives the same pixels.

Points are x, y in pixels from the upper left corner of the image; pixel (row, column) covers x from
column to column + 1 and y from row to row + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

_RIGHT, _DOWN, _LEFT, _UP = (1, 0), (0, 1), (-1, 0), (0, -1)

Point = tuple[int, int]


class Region(NamedTuple):
    """A connected region: (N, 2) corners of its outer edge, and those of its holes."""

    outer: np.ndarray
    holes: list[np.ndarray]


def trace_regions(mask: np.ndarray) -> list[Region]:
    """The outlines of each region of an (H, W) mask; pixels that touch at a corner are apart."""
    regions, count = ndimage.label(mask)
    traced = []
    for number, box in enumerate(ndimage.find_objects(regions, count), start=1):
        rings = _trace(regions[box] == number)
        offset = np.array([box[1].start, box[0].start])
        outer, *holes = sorted(rings, key=lambda ring: -np.ptp(ring, axis=0).prod())
        traced.append(Region(outer + offset, [hole + offset for hole in holes]))
    return traced


def trace_as_one(mask: np.ndarray) -> np.ndarray:
    """(N, 2) corners of a single polygon that stands for all regions of a mask and their holes.

    For formats that have one polygon an object: the outlines are joined by lines that are passed
    twice, there and back, and so enclose nothing.
    """
    return join_rings([ring for outer, holes in trace_regions(mask) for ring in (outer, *holes)])


def join_rings(rings: Sequence[np.ndarray]) -> np.ndarray:
    """(N, 2) corners of a single polygon of several, each (M, 2), in which holes stay holes."""
    if not rings:
        return np.zeros((0, 2), int)
    start = rings[0][:1]
    closed = [np.concatenate([ring, ring[:1]]) for ring in rings]
    joined = [closed[0]]
    for ring in closed[1:]:
        joined += [ring, start]
    points = np.concatenate(joined)
    return points[:-1] if len(rings) == 1 else points


def _trace(mask: np.ndarray) -> list[np.ndarray]:
    """The closed edges of a mask, each with the mask on its right hand."""
    following = _edges(np.pad(mask, 1))
    rings = []
    while following:
        start = next(iter(following))
        point, (direction, *_) = start, following[start]
        corners: list[Point] = []
        while True:
            turn = _take(following, point, direction)
            if turn is None:
                break
            if turn != direction or not corners:
                corners.append(point)
            direction = turn
            point = (point[0] + turn[0], point[1] + turn[1])
        rings.append(_without_straight(np.array(corners)))
    return rings


def _edges(mask: np.ndarray) -> dict[Point, list[Point]]:
    """Directions of the edges that begin at each corner of a mask that was padded by one."""
    found: dict[Point, list[Point]] = {}
    inner = mask[1:-1, 1:-1]
    # side of the pixel: neighbour, where the edge begins relative to the pixel, its direction
    sides = (
        (mask[:-2, 1:-1], (0, 0), _RIGHT),
        (mask[1:-1, 2:], (1, 0), _DOWN),
        (mask[2:, 1:-1], (1, 1), _LEFT),
        (mask[1:-1, :-2], (0, 1), _UP),
    )
    for neighbour, (dx, dy), direction in sides:
        for y, x in np.argwhere(inner & ~neighbour).tolist():
            found.setdefault((x + dx, y + dy), []).append(direction)
    return found


def _take(following: dict[Point, list[Point]], point: Point, before: Point) -> Point | None:
    """The next edge from a corner; where two begin, the one that turns right stays at its pixel."""
    directions = following.get(point)
    if not directions:
        return None
    right = (-before[1], before[0])
    chosen = right if right in directions else directions[0]
    directions.remove(chosen)
    if not directions:
        del following[point]
    return chosen


def _without_straight(corners: np.ndarray) -> np.ndarray:
    """Corners where the outline turns; that where tracing began may be none."""
    before, after = np.roll(corners, 1, axis=0) - corners, np.roll(corners, -1, axis=0) - corners
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return corners[turns]
