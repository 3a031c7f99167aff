"""The canvas: what has been found so far, as the networks see it.

A canvas is an integer label map (0: nothing yet). The networks see two channels of it: the pixels
that are taken, and the pixels where one object borders on something else. The second tells an
object that covers two true ones (no border between them) from two that touch.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

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
    means = block_means(channels, 2)
    return torch.cat([means, (means > 0).float()], dim=1)  # a canvas holds 0 and 1


def block_means(maps: torch.Tensor, factor: int) -> torch.Tensor:
    """``F.avg_pool2d`` of few channels, which that is slow for on a CPU.

    Args:
        maps: (B, C, h, w); h and w are multiples of ``factor``.
        factor: side of the blocks of values.

    Returns:
        (B, C, h / factor, w / factor).
    """
    across = _sum([maps[..., k::factor] for k in range(factor)])
    return _sum([across[..., k::factor, :] for k in range(factor)]) / factor**2


def _sum(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return functools.reduce(torch.add, parts)
