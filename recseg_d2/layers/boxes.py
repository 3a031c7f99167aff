"""Boxes of windows, and as maps. May use: torch only.

Letters as in ``recseg_d2.structures``. A window has a centre and a size, y before x, in pixels with
pixel centres at integers, and by eq. 11 it spans size + 1 pixels. A box has corners x1 y1 x2 y2 in
pixels, the last pixel's far edge included, as in the rest of the package: an object from pixel 3 to
pixel 5 has centre 4 and size 2, and corners 3 and 6.
"""

from __future__ import annotations

import torch


def window_corners(centre: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Boxes that windows span.

    Args:
        centre: (..., 2) y, x in pixels, pixel centres at integers.
        size: (..., 2).

    Returns:
        (..., 4) x1 y1 x2 y2 in pixels, the last pixel's far edge included: an object from pixel 3
        to pixel 5 has corners 3 and 6, as in the rest of the package.
    """
    half = (size + 1) / 2
    return torch.cat([(centre + 0.5 - half).flip(-1), (centre + 0.5 + half).flip(-1)], dim=-1)


def corners_window(corners: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre and size of the window that spans a box; the inverse of ``window_corners``."""
    low, high = corners[..., :2].flip(-1), corners[..., 2:].flip(-1)
    return (low + high - 1) / 2, high - low - 1


def pad_corners(corners: torch.Tensor, ratio: float, minimum: float) -> torch.Tensor:
    """Grow boxes on each side by ``max(ratio * size, minimum)`` (eq. 26's Pad).

    Args:
        corners: (..., 4) x1 y1 x2 y2 in pixels.
        ratio: share of the box's size along that axis.
        minimum: pixels.
    """
    grow = ((corners[..., 2:] - corners[..., :2]) * ratio).clamp(min=minimum)
    return torch.cat([corners[..., :2] - grow, corners[..., 2:] + grow], dim=-1)


def fill_corners(corners: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Boxes as maps.

    Args:
        corners: (B, N, 4) x1 y1 x2 y2 in pixels.
        size: H and W.

    Returns:
        (B, N, H, W) float, 1 for the pixels whose centre lies in the box.
    """
    inside = []
    for low, high, length in ((1, 3, size[0]), (0, 2, size[1])):
        centre = torch.arange(length, device=corners.device, dtype=corners.dtype) + 0.5
        above = centre >= corners[..., low, None]
        inside.append(above & (centre < corners[..., high, None]))
    return (inside[0][..., :, None] & inside[1][..., None, :]).to(corners.dtype)
