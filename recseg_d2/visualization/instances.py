"""Masks for figures: of any size and form, one at a time; and the colours of true objects.

Instances are given as masks (K, H, W), as any other sequence of K masks (H, W), or as a label map
(H, W) of integers with 0 as background, whose masks are taken in the order of its labels.

Shape letters: K predicted and N true instances, H W the image's pixels, h w the panel's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image

from recseg_d2.layers.masks import mask_iou
from recseg_d2.visualization.palette import instance_colors


def each_mask(instances: Any, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Each mask as (H, W) bool.

    Args:
        instances: masks or a label map in any of the forms that the module's docstring lists.
        size: H and W of the image that they belong to.

    Raises:
        ValueError: a mask is of another size than the image.
    """
    labels = _labels(instances)
    masks = instances if labels is None else (instances == label for label in labels)
    for mask in masks:
        if tuple(mask.shape) != tuple(size):
            raise ValueError(
                f"A mask of shape {tuple(mask.shape)} does not fit an image of {size[0]} x "
                f"{size[1]} pixels; expected ({size[0]}, {size[1]})."
            )
        yield np.asarray(mask, dtype=bool)


def count_of(instances: Any) -> int:
    """The number of instances."""
    labels = _labels(instances)
    return len(instances if labels is None else labels)


def count_text(count: int) -> str:
    """The number of objects in words: "1 object", "7 objects"."""
    return f"{count} object" + ("" if count == 1 else "s")


def fit_masks(instances: Any, given: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Masks at the size of a panel; where it is smaller, no object vanishes.

    A pixel of the panel belongs to a mask that covers half of it, and an object that covers half
    of no pixel keeps the pixel that it covers most.

    Args:
        instances: masks or a label map in any of the forms that the module's docstring lists.
        given: H and W, height and width of the masks in pixels.
        size: h and w, height and width that are drawn in pixels.

    Returns:
        (K, h, w) bool.

    Raises:
        ValueError: as ``each_mask``.
    """
    masks = [_fit_mask(mask, size) for mask in each_mask(instances, given)]
    return np.array(masks, dtype=bool).reshape(-1, *size)


def matching_colors(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Colours of true objects after the predicted ones that they overlap most.

    Pairs are those of ``partners``; true objects that are left get colours that no predicted object
    has.

    Args:
        truth: (N, h, w) bool, the true masks.
        found: (K, h, w) bool, coloured by the palette in the given order.

    Returns:
        (N, 3) uint8 RGB.
    """
    partner = partners(mask_iou(torch.from_numpy(truth), torch.from_numpy(found)).numpy())
    missed = partner < 0
    partner[missed] = len(found) + np.arange(missed.sum())
    return instance_colors(len(found) + int(missed.sum()))[partner]


def partners(iou: np.ndarray) -> np.ndarray:
    """Pair objects from the highest overlap downwards, each once.

    Args:
        iou: (N, K) in [0, 1], of each true object with each predicted one.

    Returns:
        (N,) int64, the predicted object of each true one; -1 where none is left that overlaps it.
    """
    left = iou.copy()
    partner = np.full(len(iou), -1)
    while left.size and left.max() > 0:
        true, predicted = np.unravel_index(left.argmax(), left.shape)
        partner[true] = predicted
        left[true], left[:, predicted] = 0, 0
    return partner


def _labels(instances: Any) -> np.ndarray | None:
    """The labels of a label map; None of masks."""
    if not isinstance(instances, np.ndarray) or instances.ndim != 2:
        return None
    values = np.unique(instances)
    return values[values != 0]


def _fit_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if mask.shape == tuple(size):
        return mask
    if size[0] >= mask.shape[0] and size[1] >= mask.shape[1]:
        grown = Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.NEAREST)
        return np.asarray(grown)
    share = Image.fromarray(mask.astype(np.float32))
    covered = np.asarray(share.resize((size[1], size[0]), Image.Resampling.BOX))
    most = covered.max()
    return covered >= min(0.5, most) if most > 0 else np.zeros(size, dtype=bool)
