"""Colours of true objects after those of the predicted ones.

Shape letters: K predicted and N true instances, H W pixels.
"""

from __future__ import annotations

import numpy as np

from recseg_d2.visualization.palette import instance_colors


def matching_colors(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Colours of true objects after the predicted ones that they overlap most.

    Pairs are taken from the highest intersection over union downwards, each object once; true
    objects that are left get colours that no predicted object has.

    Args:
        truth: (N, H, W) bool.
        found: (K, H, W) bool, coloured by the palette in the given order.

    Returns:
        (N, 3) uint8 RGB.
    """
    iou = _iou_matrix(truth, found)
    partner = np.full(len(truth), -1)
    while iou.size and iou.max() > 0:
        true, predicted = np.unravel_index(iou.argmax(), iou.shape)
        partner[true] = predicted
        iou[true], iou[:, predicted] = 0, 0
    missed = partner < 0
    partner[missed] = len(found) + np.arange(missed.sum())
    return instance_colors(len(found) + int(missed.sum()))[partner]


def _iou_matrix(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, K) intersection over union; 0 where both are empty."""
    area = ones.shape[1] * ones.shape[2]
    flat_ones = ones.reshape(-1, area).astype(np.float32)
    flat_others = others.reshape(-1, area).astype(np.float32)
    shared = flat_ones @ flat_others.T
    union = flat_ones.sum(1)[:, None] + flat_others.sum(1)[None] - shared
    return shared / np.maximum(union, 1)
