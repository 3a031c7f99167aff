"""Boxes: of windows and of masks, as maps, and how much they overlap.

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
        size: (..., 2), height and width in pixels.

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


def pad_corners(corners: torch.Tensor, ratio: float | torch.Tensor, minimum: float) -> torch.Tensor:
    """Grow boxes on each side by ``max(ratio * size, minimum)`` (eq. 26's Pad).

    Args:
        corners: (..., 4) x1 y1 x2 y2 in pixels.
        ratio: share of the box's size along that axis; (..., 1) for one of each box.
        minimum: least padding in pixels.
    """
    grow = ((corners[..., 2:] - corners[..., :2]) * ratio).clamp(min=minimum)
    return torch.cat([corners[..., :2] - grow, corners[..., 2:] + grow], dim=-1)


def fill_corners(corners: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Boxes as maps.

    Args:
        corners: (B, N, 4) x1 y1 x2 y2 in pixels.
        size: H and W, height and width of the maps in pixels.

    Returns:
        (B, N, H, W) float, 1 for the pixels whose centre lies in the box.
    """
    inside = []
    for low, high, length in ((1, 3, size[0]), (0, 2, size[1])):
        centre = torch.arange(length, device=corners.device, dtype=corners.dtype) + 0.5
        above = centre >= corners[..., low, None]
        inside.append(above & (centre < corners[..., high, None]))
    return (inside[0][..., :, None] & inside[1][..., None, :]).to(corners.dtype)


def masks_to_boxes(masks: torch.Tensor) -> torch.Tensor:
    """Tight boxes of binary masks.

    Args:
        masks: (N, H, W), nonzero where the object is.

    Returns:
        (N, 4) float32, x1 y1 x2 y2 in pixels; x2 and y2 are one past the last pixel, so that a
        mask of one pixel has a box of one by one. An empty mask has the box 0 0 0 0.
    """
    inside = masks.bool()
    x1, x2 = _extent(_any(inside, dim=1))
    y1, y2 = _extent(_any(inside, dim=2))
    return torch.stack([x1, y1, x2, y2], dim=1).float()


def box_iou(ones: torch.Tensor, others: torch.Tensor, eps: float | None = None) -> torch.Tensor:
    """Intersection over union of every pair of boxes, differentiable in both.

    Args:
        ones: (..., P, 4) x1 y1 x2 y2.
        others: (..., K, 4), in the same units.
        eps: added to each union, in units squared, so that two empty boxes are at 0 instead of 0/0;
            None takes the smallest number, which leaves all others as they are, but gives two empty
            boxes no gradient.

    Returns:
        (..., P, K) in [0, 1]; 0 where both boxes are empty.
    """
    sides = []
    for low, high in ((0, 2), (1, 3)):  # in place: these tables are what suppression costs
        side = torch.minimum(ones[..., :, None, high], others[..., None, :, high])
        side -= torch.maximum(ones[..., :, None, low], others[..., None, :, low])
        sides.append(side.clamp_(min=0))
    intersection = sides[0].mul_(sides[1])
    union = (_areas(ones)[..., :, None] + _areas(others)[..., None, :]).sub_(intersection)
    return intersection.div_(union.add_(torch.finfo(union.dtype).tiny if eps is None else eps))


def _any(inside: torch.Tensor, dim: int) -> torch.Tensor:
    """``inside.any(dim)`` of a bool tensor; a maximum of its bytes takes a tenth of the time."""
    if inside.shape[dim] == 0:
        return inside.any(dim=dim)
    # the same bytes where that can be: a copy of masks of many pixels is as large as they are
    if torch.compiler.is_compiling():  # ONNX has no view of another type
        return inside.to(torch.uint8).amax(dim=dim).bool()
    return inside.view(torch.uint8).amax(dim=dim).bool()


def _extent(line: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First and one past the last True of each row of (N, L); 0 and 0 for a row without any."""
    length = line.shape[1]
    position = torch.arange(length, device=line.device)
    last = torch.where(line, position + 1, 0).amax(dim=1) if length else line.sum(1)
    first = torch.where(line, position, length).amin(dim=1) if length else line.sum(1)
    return torch.where(last > 0, first, 0), last


def _areas(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)
