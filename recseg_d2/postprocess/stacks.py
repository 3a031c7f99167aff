"""Objects of a stack of images: those of its slices, linked from one slice to the next.

Letters: P slices, H W their size, K objects of a slice.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.optimize import linear_sum_assignment


def link_slices(slices: Iterable[np.ndarray], min_iou: float) -> np.ndarray:
    """Number the objects of a stack so that an object has one number in all of its slices.

    The objects of a slice are matched with those of the slice before one to one, by the largest
    sum of IoUs (Hungarian algorithm). A pair of ``min_iou`` or more is one object; whatever has no
    such partner begins a new one, so that an object that is missed in a slice ends there.

    Args:
        slices: (H, W) label maps with the labels 0 to K, in the order of the stack; one or more.
        min_iou: above 0 and up to 1.

    Returns:
        (P, H, W) int32; 0 is background, the numbers from 1 on are those of the objects in the
        order in which they begin.
    """
    linked: list[np.ndarray] = []
    count = 0
    for labels in slices:
        numbers = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
        if linked:
            before, ious = label_ious(linked[-1], labels)
            rows, columns = linear_sum_assignment(ious, maximize=True)
            same = ious[rows, columns] >= min_iou
            numbers[columns[same] + 1] = before[rows[same]]
        new = np.flatnonzero(numbers[1:] == 0) + 1
        numbers[new] = np.arange(count + 1, count + 1 + len(new))
        count += len(new)
        linked.append(numbers[labels])
    return np.stack(linked)


def label_ious(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection over union of each object of a label map with each of another.

    Args:
        first: (H, W) integers from 0.
        second: (H, W) with the labels 0 to K.

    Returns:
        (N,) the labels of the first above 0 that occur, and (N, K) float64 IoUs; 0 for a label of
        the second that does not occur.
    """
    found, index = np.unique(np.append(first.ravel(), 0), return_inverse=True)
    columns = int(second.max(initial=0)) + 1
    pairs = index[:-1] * columns + second.ravel()
    shared = np.bincount(pairs, minlength=len(found) * columns).reshape(len(found), columns)
    union = shared.sum(1)[1:, None] + shared.sum(0)[None, 1:] - shared[1:, 1:]
    return found[1:], shared[1:, 1:] / np.maximum(union, 1)


def keep_whole_volumes(
    labels: np.ndarray, min_volume: int = 0, drop_border: bool = False
) -> np.ndarray:
    """A label stack without objects that are too small, or cut by a border of the stack.

    Args:
        labels: (P, H, W) integers; 0 is background.
        min_volume: fewest voxels.
        drop_border: whether to leave out objects with a voxel in the first or last slice, row or
            column.

    Returns:
        (P, H, W) int32, the remaining objects numbered anew from 1, in their order.
    """
    volumes = np.bincount(labels.ravel())
    kept = (volumes > 0) & (volumes >= min_volume)
    kept[0] = False
    if drop_border:
        for axis in range(labels.ndim):
            kept[labels.take([0, -1], axis=axis)] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[labels]
