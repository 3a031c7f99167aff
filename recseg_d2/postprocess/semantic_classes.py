"""The class of an instance from a semantic segmentation.

Ren & Zemel 2017, section 4.1: the model is trained without classes, and each instance takes the
class that a semantic segmentation of the same image has inside its mask.

Shape letters: K instances, C classes, H W pixels.
"""

from __future__ import annotations

import torch


def semantic_shares(masks: torch.Tensor, semantic: torch.Tensor) -> torch.Tensor:
    """What a segmentation says of each instance, as a mean over its pixels.

    Args:
        masks: (K, H, W) bool, the mask of each instance.
        semantic: (C + 1, H, W) float, shares that sum to 1 at each pixel, the background first.

    Returns:
        (K, C + 1) float; all background for a mask without a pixel.
    """
    inside = masks.flatten(1).to(semantic.dtype)
    area = inside.sum(dim=1, keepdim=True)
    shares = inside @ semantic.flatten(1).T / area.clamp(min=1)
    background = torch.zeros_like(shares)
    background[:, 0] = 1
    return torch.where(area > 0, shares, background)


def vote_classes(masks: torch.Tensor, semantic: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The class with the largest share of each instance, the background aside.

    Args:
        masks: (K, H, W) bool, the mask of each instance.
        semantic: (C + 1, H, W) float, as for ``semantic_shares``; C at least 1.

    Returns:
        classes, (K,) int64 in [0, C), 0 where no class has a share; and (K,) float, the
        background's share, by which instances that the segmentation does not know can be dropped
        (the public code drops those above 0.7).
    """
    shares = semantic_shares(masks, semantic)
    return shares[:, 1:].argmax(dim=1), shares[:, 0]
