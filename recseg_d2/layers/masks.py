"""Binary masks: resizing, and how much they overlap.

Shape letters: P or N masks, H W their pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

_VALUES_AT_A_TIME = 2**24  # of masks as float32: 64 MB


def resize_masks(masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(N, h, w) bool to (N, *size) bool by the nearest pixel's centre."""
    if tuple(masks.shape[1:]) == tuple(size) or len(masks) == 0:
        return masks.new_zeros(0, *size) if len(masks) == 0 else masks
    return F.interpolate(masks[None].float(), size=size, mode="nearest-exact")[0] > 0.5


def mask_iou(ones: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of every pair of masks, as matrix products over blocks of pixels.

    Args:
        ones: (P, H, W) bool masks.
        others: (N, H, W) bool masks of the same size.

    Returns:
        (P, N) float32 in [0, 1]; 0 where both masks are empty.
    """
    ones, others = ones.flatten(1), others.flatten(1)
    intersection = torch.zeros(len(ones), len(others), device=ones.device)
    block = max(1, _VALUES_AT_A_TIME // max(1, len(ones) + len(others)))
    with torch.autocast(ones.device.type, enabled=False):  # short types cannot count so far
        for first in range(0, ones.shape[1], block):
            pixels = slice(first, first + block)
            intersection += ones[:, pixels].float() @ others[:, pixels].float().T
    union = ones.sum(1)[:, None] + others.sum(1)[None] - intersection
    return intersection / union.clamp(min=1)
