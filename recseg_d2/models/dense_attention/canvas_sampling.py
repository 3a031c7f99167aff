"""Canvases to train on: random subsets of the true objects, drawn as imperfectly as models do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from recseg_d2.models.dense_attention.targets import ObjectTargets

_EMPTY, _FULL = 1 / 6, 1 / 6  # shares of canvases with no object and with all of them
_EXACT, _ERODED, _DILATED = 0.35, 0.25, 0.2  # of drawn objects; the rest is shifted
_DEEPEST_EROSION = 0.35  # of an object's largest distance to its border
_SHIFT = 0.12  # largest shift, as a share of the square root of the area
_GROWTH = 3  # pixels that a drawn object may reach beyond its box


@dataclass
class Canvas:
    """A canvas and what it says of each of an image's n objects.

    Attributes:
        labels: (H, W) int32, 0 where nothing is drawn.
        done: (n,) bool, whether the object has been drawn.
        unclear: (n,) bool, whether that is a matter of taste: no heat is trained there.
    """

    labels: np.ndarray
    done: np.ndarray
    unclear: np.ndarray


def random_canvas(rng: np.random.Generator, targets: ObjectTargets, merged: float) -> Canvas:
    """A random subset of the objects, each exact, eroded, dilated or shifted.

    Args:
        rng: the generator that canvases are drawn with.
        targets: the true objects of the image.
        merged: probability that one pair of touching objects is drawn as a single one; the larger
            of the two counts as done.
    """
    count = len(targets)
    kind = rng.random()
    share = 0.0 if kind < _EMPTY else 1.0 if kind < _EMPTY + _FULL else rng.random()
    done = rng.random(count) < share
    canvas = np.zeros(targets.labels.shape, np.int32)
    for k in rng.permutation(np.flatnonzero(done)):
        part, mask = imperfect_mask(rng, targets, int(k))
        canvas[part][mask] = k + 1
    if count > 1 and rng.random() < merged:
        _merge_pair(rng, targets, canvas, done)
    return Canvas(canvas, done, np.zeros(count, bool))


def imperfect_mask(
    rng: np.random.Generator, targets: ObjectTargets, k: int
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Object k as a model might have drawn it: a part of the image, and a bool mask there."""
    part = _grown(targets.parts[k], targets.labels.shape)
    mask = targets.labels[part] == k + 1
    kind = rng.random()
    if kind < _EXACT:
        return part, mask
    if kind < _EXACT + _ERODED:
        return part, mask & (targets.depth[part] > rng.uniform(0, _DEEPEST_EROSION))
    if kind < _EXACT + _ERODED + _DILATED:
        return part, ndimage.binary_dilation(mask, iterations=int(rng.integers(1, 3)))
    reach = max(1, int(_SHIFT * np.sqrt(targets.areas[k])))
    return part, _shifted(mask, *rng.integers(-reach, reach + 1, 2))


def iou_with_object(
    drawn: np.ndarray, targets: ObjectTargets, k: int, part: tuple[slice, slice]
) -> float:
    """IoU of a mask, given as bools in a part of the image, with object k."""
    own = targets.labels[part] == k + 1
    shared = int((drawn & own).sum())
    union = int(targets.areas[k]) + int(drawn.sum()) - shared
    return shared / max(union, 1)


def _grown(part: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice]:
    rows, columns = part
    return (
        slice(max(rows.start - _GROWTH, 0), min(rows.stop + _GROWTH, shape[0])),
        slice(max(columns.start - _GROWTH, 0), min(columns.stop + _GROWTH, shape[1])),
    )


def _shifted(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    """The mask moved within its frame; what leaves it is lost."""
    result = np.zeros_like(mask)
    height, width = mask.shape
    to = (slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0)))
    start = (
        slice(max(-down, 0), height + min(-down, 0)),
        slice(max(-right, 0), width + min(-right, 0)),
    )
    result[to] = mask[start]
    return result


def _merge_pair(
    rng: np.random.Generator, targets: ObjectTargets, canvas: np.ndarray, done: np.ndarray
) -> None:
    """Draw one random object and a neighbour of it as a single one, in place."""
    first = int(rng.integers(len(targets)))
    part = _grown(targets.parts[first], canvas.shape)
    near = ndimage.binary_dilation(targets.labels[part] == first + 1, iterations=2)
    neighbours = np.unique(targets.labels[part][near])
    neighbours = neighbours[(neighbours > 0) & (neighbours != first + 1)]
    if not len(neighbours):
        return
    pair = sorted((first, int(rng.choice(neighbours)) - 1), key=lambda k: -targets.areas[k])
    canvas[np.isin(targets.labels, [k + 1 for k in pair])] = pair[0] + 1
    done[pair[0]], done[pair[1]] = True, False
