"""Channels that tell a convolution where it is."""

from __future__ import annotations

import torch

NUM_COORDINATES = 3  # y, x, radius


def coordinate_maps(size: tuple[int, int], like: torch.Tensor) -> torch.Tensor:
    """Position of each pixel's centre, as channels.

    Args:
        size: height and width in pixels.
        like: a tensor whose device and dtype the maps take.

    Returns:
        (1, 3, height, width): y and x in (-1, 1), and the distance from the image's centre scaled
        so that a corner is at sqrt(2) - 1 and the centre at -1.
    """
    height, width = size
    y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height * 2 - 1
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width * 2 - 1
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    radius = torch.sqrt(grid_y**2 + grid_x**2) - 1
    return torch.stack([grid_y, grid_x, radius])[None]


def append_coordinates(features: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) -> (B, C + 3, h, w)."""
    maps = coordinate_maps((features.shape[2], features.shape[3]), features)
    return torch.cat([features, maps.expand(features.shape[0], -1, -1, -1)], dim=1)
