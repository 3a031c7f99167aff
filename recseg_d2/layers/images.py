"""Images and label maps at other sizes, as tensors and as arrays."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage


def resize_image(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A float image (channels, h, w) at another height and width.

    Bilinear, and averaging where it shrinks.
    """
    if tuple(image.shape[1:]) == size:
        return image
    return F.interpolate(
        image[None], size=size, mode="bilinear", align_corners=False, antialias=True
    )[0]


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width of an image of ``size`` when it is magnified by ``scale``; 1 or more."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def scale_array(image: np.ndarray, scale: float) -> np.ndarray:
    """An image (H, W, C) magnified as ``resize_image`` does, with its type of number kept."""
    if scale == 1:
        return image
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()
    moved = resize_image(tensor, scaled_size(image.shape[:2], scale)).numpy().transpose(1, 2, 0)
    if np.issubdtype(image.dtype, np.integer):
        moved = np.rint(moved)
    return np.ascontiguousarray(moved, dtype=image.dtype)


def scale_labels(planes: np.ndarray, scale: float) -> np.ndarray:
    """Label maps (P, H, W) magnified, each pixel with the label that its centre had."""
    if scale == 1:
        return planes
    height, width = scaled_size(planes.shape[1:], scale)
    rows = _centres(height, planes.shape[1])
    columns = _centres(width, planes.shape[2])
    return planes[:, rows[:, None], columns[None]]


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map at another size, each pixel with the label that has most of it.

    The shares that labels have of a pixel are bilinear, so that outlines are as smooth as those of
    masks that are resized one by one.

    Args:
        labels: (H, W) integer, 0 or more; 0 is background.
        size: the new height and width in pixels.

    Returns:
        ``size``, of the same type. Objects may lose all of their pixels.
    """
    if labels.shape == size:
        return labels
    best, total = np.zeros(size, np.float32), np.zeros(size, np.float32)
    result = np.zeros(size, labels.dtype)
    for number, part in enumerate(ndimage.find_objects(labels), start=1):
        if part is None:
            continue
        rows, columns = (
            _weights(own, old, new) for own, old, new in zip(part, labels.shape, size, strict=True)
        )
        inside = (labels[part] == number).astype(np.float32)
        share = rows[1] @ inside @ columns[1].T
        place = (rows[0], columns[0])
        wins = share > best[place]
        result[place][wins] = number
        best[place] = np.maximum(best[place], share)
        total[place] += share
    result[best < 1 - total] = 0
    return result


def _weights(part: slice, old: int, new: int) -> tuple[slice, np.ndarray]:
    """Where a part of an axis comes to lie, and the bilinear shares (new, old) of its pixels."""
    ratio = new / old
    start = max(0, int(np.floor((part.start - 1) * ratio)))
    stop = min(new, int(np.ceil((part.stop + 1) * ratio)) + 1)
    at = np.clip((np.arange(start, stop) + 0.5) / ratio - 0.5, 0, old - 1)
    reach = max(1.0, 1 / ratio)  # where the map shrinks, shares are of all pixels beneath
    distance = np.abs(at[:, None] - np.arange(part.start, part.stop)[None])
    weights = np.clip(1 - distance / reach, 0, None) / reach
    return slice(start, stop), weights.astype(np.float32)


def _centres(count: int, length: int) -> np.ndarray:
    """Index of the old pixel that the centre of each new one lies in."""
    return ((np.arange(count) + 0.5) * length / count).astype(np.int64)
