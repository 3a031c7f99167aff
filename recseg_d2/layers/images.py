"""Images and label maps at other sizes, as tensors and as arrays."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


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


def _centres(count: int, length: int) -> np.ndarray:
    """Index of the old pixel that the centre of each new one lies in."""
    return ((np.arange(count) + 0.5) * length / count).astype(np.int64)
