"""The canvas: what has been found so far, as the networks see it.

A canvas is an integer label map (0: nothing yet). The networks see two channels of it: the pixels
that are taken, and the pixels where one object borders on something else. The second tells an
object that covers two true ones (no border between them) from two that touch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

CANVAS_CHANNELS = 2


def canvas_channels(labels: torch.Tensor) -> torch.Tensor:
    """Taken pixels and borders of a canvas.

    Args:
        labels: (B, H, W) integer; 0 is free.

    Returns:
        (B, 2, H, W) float32 of 0 and 1: taken, and taken with one of the four neighbours labelled
        otherwise (what is beyond the image counts as the pixel's own label).
    """
    taken = labels != 0
    border = torch.zeros_like(taken)
    vertical = labels[:, 1:] != labels[:, :-1]
    horizontal = labels[:, :, 1:] != labels[:, :, :-1]
    border[:, 1:] |= vertical
    border[:, :-1] |= vertical
    border[:, :, 1:] |= horizontal
    border[:, :, :-1] |= horizontal
    return torch.stack([taken, border & taken], dim=1).float()


def shrink_canvas(channels: torch.Tensor) -> torch.Tensor:
    """Means and maxima of 2 x 2 pixels of a canvas: (B, 2, H, W) -> (B, 4, H/2, W/2)."""
    return torch.cat([F.avg_pool2d(channels, 2), F.max_pool2d(channels, 2)], dim=1)
