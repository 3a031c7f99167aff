"""Masks of windows at the image's own resolution.

Shape letters: P proposals, s values a side of a window's mask, H W pixels of the image, a b pixels
of the patch that a window covers.

Value (i, j) of a mask stands for the centre of its share of the window; between the centres values
are interpolated bilinearly; the outermost values continue to the window's edge, and of those that
lie in the image, to the image's edge. A pixel takes the value at its own centre, so windows may
begin anywhere, not at whole pixels only.
"""

from __future__ import annotations

import math

import torch

PIXELS_AT_A_TIME = 2**23  # of patches whose values are held as floats
ROUNDING = 1e-3  # of a value's share of the window: what touches the image by less, does not


def paste_masks(
    mask_logits: torch.Tensor, windows: torch.Tensor, size: tuple[int, int], threshold: float
) -> torch.Tensor:
    """Interpolate masks to pixels and truncate them.

    Args:
        mask_logits: (P, s, s) float.
        windows: (P, 4) float, x1 y1 x2 y2 in pixels of the image, beyond it too.
        size: H and W, height and width of the image in pixels.
        threshold: probability above which a pixel belongs to the mask, between 0 and 1.

    Returns:
        (P, H, W) bool; False outside of the window.
    """
    masks = mask_logits.new_zeros(len(mask_logits), *size, dtype=torch.bool)
    # above the threshold is then above 0, which is what pixels outside of the window get
    beyond = mask_logits - math.log(threshold / (1 - threshold))
    for group, patch in _equal_patches(windows, size):
        for part in group.split(max(1, PIXELS_AT_A_TIME // (patch[0] * patch[1]))):
            _paste_part(masks, part, beyond[part], windows[part], patch)
    return masks


def _equal_patches(
    windows: torch.Tensor, size: tuple[int, int]
) -> list[tuple[torch.Tensor, tuple[int, int]]]:
    """Indices of the windows that cover patches of the same size, and that size, a and b.

    Windows of one scale have one size, so there are about as many groups as scales.
    """
    sides = (windows[:, 2:] - windows[:, :2]).flip(1).ceil().long() + 1
    sides = torch.minimum(sides, sides.new_tensor(size))
    kinds, kind = torch.unique(sides, dim=0, return_inverse=True)
    patches = [(a, b) for a, b in kinds.tolist()]
    return [((kind == k).nonzero()[:, 0], patch) for k, patch in enumerate(patches)]


def _paste_part(
    masks: torch.Tensor,
    part: torch.Tensor,
    logits: torch.Tensor,
    windows: torch.Tensor,
    patch: tuple[int, int],
) -> None:
    """Write patches of equal size into (P, H, W) masks, in place."""
    rows, across = _axis_weights(windows[:, 1], windows[:, 3], masks.shape[1], patch[0], logits)
    columns, along = _axis_weights(windows[:, 0], windows[:, 2], masks.shape[2], patch[1], logits)
    values = across @ logits @ along.transpose(1, 2)
    corners = torch.stack([part, rows, columns], dim=1).tolist()
    for (p, y, x), mask in zip(corners, values > 0, strict=True):
        masks[p, y : y + patch[0], x : x + patch[1]] = mask


def _axis_weights(
    low: torch.Tensor, high: torch.Tensor, length: int, pixels: int, logits: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """First pixel of each patch along an axis, and how its pixels mix the mask's values.

    Args:
        low: (P,) where the windows begin.
        high: (P,) where they end.
        length: length of the image along the axis in pixels.
        pixels: length of the patch along the axis in pixels.
        logits: (P, s, s), for s and the type.

    Returns:
        (P,) int64, and (P, pixels, s): two weights that sum to 1, none outside of the window.
    """
    s = logits.shape[1]
    first = low.floor().long().clamp(0, length - pixels)
    centre = first[:, None] + torch.arange(pixels, device=low.device) + 0.5
    inside = (centre >= low[:, None]) & (centre < high[:, None])
    step = (high - low) / s
    # values beyond the image are no evidence: those at its border continue to the very border
    start = ((-low / step + ROUNDING).floor()).clamp(0, s - 1)
    end = (((length - low) / step - ROUNDING).ceil() - 1).clamp(0, s - 1)
    position = (centre - low[:, None]) / step[:, None] - 0.5
    position = position.clamp(start[:, None], end[:, None])[..., None]
    weights = (1 - (position - torch.arange(s, device=low.device)).abs()).clamp(min=0)
    return first, (weights * inside[..., None]).to(logits.dtype)
