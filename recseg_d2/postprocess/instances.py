"""Predicted masks of an image, one at a time, whatever a model holds them in.

Instances are Detectron2's ``Instances`` on the CPU with "pred_masks" and "scores". The masks are a
(K, H, W) tensor, or any other sequence of K masks (H, W); nothing here needs all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def masks_of(instances: Any) -> Iterator[np.ndarray]:
    """Each mask as (H, W) bool, in the order of the instances."""
    for mask in instances.pred_masks:
        yield np.asarray(mask, dtype=bool)


def label_map_of(instances: Any) -> np.ndarray:
    """Masks that may overlap as one label map.

    Returns:
        (H, W) int32; k + 1 for a pixel of mask k, 0 for none. Where masks overlap, the higher score
        wins, and of equal ones the first.
    """
    labels = np.zeros(int(np.prod(instances.image_size)), dtype=np.int32)
    scores = np.concatenate([[-np.inf], np.asarray(instances.scores)])  # by label
    for label, mask in enumerate(masks_of(instances), start=1):
        inside = np.flatnonzero(mask)
        labels[inside[scores[labels[inside]] < scores[label]]] = label
    return labels.reshape(instances.image_size)


def keep_whole(instances: Any, min_area: int = 0, drop_border: bool = False) -> Any:
    """The instances that are not too small, and not cut by the image's border.

    Args:
        instances: of an image.
        min_area: fewest pixels.
        drop_border: whether to leave out masks with a pixel in the first or last row or column.
    """
    kept = [
        number
        for number, mask in enumerate(masks_of(instances))
        if mask.sum() >= min_area and not (drop_border and _at_border(mask))
    ]
    return instances if len(kept) == len(instances) else instances[kept]


def _at_border(mask: np.ndarray) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())
