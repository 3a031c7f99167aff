"""Images with as many objects as wanted: bright discs of one size, side by side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from detectron2.structures import BitMasks, Instances

CELL = 24  # pixels a side, in which a disc lies
RADIUS = 8.0  # of a disc, in pixels
_DARK, _BRIGHT, _NOISE = 20, 180, 4.0  # of 255


def side_for(objects: int) -> int:
    """Pixels a side of the smallest square image that holds so many discs."""
    return CELL * math.ceil(math.sqrt(objects))


def disc_labels(side: int, objects: int) -> np.ndarray:
    """(side, side) int32 label map of discs that do not touch, anywhere on a grid of cells.

    Args:
        side: pixels a side, ``side_for(objects)`` or more.
        objects: number of discs.
    """
    cells = side // CELL
    chosen = np.random.default_rng(0).permutation(cells**2)[:objects]
    y, x = np.mgrid[:CELL, :CELL] + 0.5 - CELL / 2
    disc = y**2 + x**2 < RADIUS**2
    labels = np.zeros((side, side), np.int32)
    for label, cell in enumerate(chosen, start=1):
        top, left = (int(n) * CELL for n in divmod(cell, cells))
        labels[top : top + CELL, left : left + CELL][disc] = label
    return labels


def disc_image(labels: np.ndarray) -> torch.Tensor:
    """(3, H, W) uint8: discs bright, all else dark, with some noise."""
    noise = np.random.default_rng(0).normal(0, _NOISE, labels.shape)
    values = np.where(labels > 0, _BRIGHT, _DARK) + noise
    return torch.from_numpy(values.clip(0, 255).astype(np.uint8)).expand(3, -1, -1)


def disc_input(side: int, objects: int) -> dict[str, Any]:
    """An input dict of training, with the discs as ground truth."""
    labels = disc_labels(side, objects)
    masks = torch.from_numpy(labels) == torch.arange(1, objects + 1)[:, None, None]
    instances = Instances((side, side), gt_masks=BitMasks(masks))
    instances.gt_classes = torch.zeros(objects, dtype=torch.int64)
    return {"image": disc_image(labels), "instances": instances, "height": side, "width": side}
