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
