"""What the dense attention model learns from: the objects of an image as maps and numbers.

Everything here is computed on the CPU from an image's label map, before a training step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

IGNORED = -1  # label of pixels of no object to learn from, which are not taken for background
UNKNOWN = -2  # label of pixels of which nothing is known: they may be of any object


@dataclass
class ObjectTargets:
    """The n objects of an image of H x W pixels.

    Attributes:
        labels: (H, W) int32; 0 is background, k + 1 object k; IGNORED, UNKNOWN.
        depth: (H, W) float32 in [0, 1], each pixel's distance to the border of its object as a
            share of the largest distance in that object; 0 outside of objects.
        boxes: (n, 4) float32, x1 y1 x2 y2 in pixels, tight.
        centres: (n, 2) float32, x and y of the centroids.
        areas: (n,) int64, area of each object in pixels.
        classes: (n,) int64, the class of each object from 0.
        parts: for each object, the rows and columns of its tight box.
    """

    labels: np.ndarray
    depth: np.ndarray
    boxes: np.ndarray
    centres: np.ndarray
    areas: np.ndarray
    classes: np.ndarray
    parts: list[tuple[slice, slice]]

    def __len__(self) -> int:
        return len(self.areas)


def object_targets(labels: np.ndarray, classes: np.ndarray, min_area: int) -> ObjectTargets:
    """Targets of an image.

    Args:
        labels: (H, W) integer; 0 is background, k + 1 the object of ``classes[k]``; IGNORED, or
            UNKNOWN. Numbers without a pixel are fine: those objects are left out.
        classes: (N,) integers, the class of each mask from 0.
        min_area: objects with fewer pixels are ignored, as slivers at the edge of a crop are.
    """
    kept = np.minimum(labels, 0).astype(np.int32)
    depth = np.zeros(labels.shape, np.float32)
    rows: list[tuple[tuple[float, ...], tuple[float, float], int, int, tuple[slice, slice]]] = []
    for index, part in enumerate(ndimage.find_objects(np.maximum(labels, 0))):
        if part is None:
            continue
        inside = labels[part] == index + 1
        area = int(np.count_nonzero(inside))
        if area < min_area:
            kept[part][inside] = IGNORED
            continue
        kept[part][inside] = len(rows) + 1
        depth[part][inside] = _relative_depth(inside)[inside]
        y, x = np.nonzero(inside)
        top, left = part[0].start, part[1].start
        box = (left, top, part[1].stop, part[0].stop)
        centre = (x.mean() + left + 0.5, y.mean() + top + 0.5)
        rows.append((box, centre, area, int(classes[index]), part))
    return ObjectTargets(
        labels=kept,
        depth=depth,
        boxes=np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        centres=np.array([r[1] for r in rows], np.float32).reshape(-1, 2),
        areas=np.array([r[2] for r in rows], np.int64),
        classes=np.array([r[3] for r in rows], np.int64),
        parts=[r[4] for r in rows],
    )


def _relative_depth(inside: np.ndarray) -> np.ndarray:
    """Distance to the border, as a share of the largest one; the frame counts as border."""
    distance = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    return (distance / distance.max()).astype(np.float32)


def flatten_masks(masks: np.ndarray) -> np.ndarray:
    """One label map (H, W) int32 of masks (N, H, W) bool; where they overlap, the smallest wins."""
    labels = np.zeros(masks.shape[1:], np.int32)
    for index in np.argsort(-masks.sum(axis=(1, 2)), kind="stable"):
        labels[masks[index]] = index + 1
    return labels


def direction_bins(targets: ObjectTargets, bins: int, stride: int) -> np.ndarray:
    """Which of ``bins`` equal sectors the centre of a pixel's object lies in.

    Returns:
        (H / stride, W / stride) int64 at the upper left pixel of each cell; -1 outside of objects.
    """
    labels = targets.labels[::stride, ::stride]
    y, x = np.mgrid[0 : labels.shape[0], 0 : labels.shape[1]] * stride + 0.5
    centres = np.concatenate([np.zeros((1, 2), np.float32), targets.centres])
    to = centres[np.maximum(labels, 0)]
    angle = np.arctan2(to[..., 1] - y, to[..., 0] - x) / (2 * np.pi) + 0.5
    result = np.minimum(np.floor(angle * bins), bins - 1).astype(np.int64)
    result[labels <= 0] = -1
    return result
