"""From the masks of a batch to what a criterion compares with. May use: torch only.

Shape letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from recseg_d2.structures import InstanceTargets


def masks_to_boxes(masks: torch.Tensor) -> torch.Tensor:
    """Tight boxes of binary masks.

    Args:
        masks: (N, H, W), nonzero inside the object.

    Returns:
        (N, 4) float32, x1 y1 x2 y2 in pixels; x2 and y2 are one past the last pixel, so that a
        mask of one pixel has a box of one by one. An empty mask has the box 0 0 0 0.
    """
    inside = masks.bool()
    x1, x2 = _extent(_any(inside, dim=1))
    y1, y2 = _extent(_any(inside, dim=2))
    return torch.stack([x1, y1, x2, y2], dim=1).float()


def _any(inside: torch.Tensor, dim: int) -> torch.Tensor:
    """``inside.any(dim)`` of a bool tensor; a maximum of bytes takes a tenth of the time."""
    if inside.shape[dim] == 0:
        return inside.any(dim=dim)
    return inside.view(torch.uint8).amax(dim=dim).bool()


def _extent(line: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First and one past the last True of each row of (N, L); 0 and 0 for a row without any."""
    length = line.shape[1]
    position = torch.arange(length, device=line.device)
    last = torch.where(line, position + 1, 0).amax(dim=1) if length else line.sum(1)
    first = torch.where(line, position, length).amin(dim=1) if length else line.sum(1)
    return torch.where(last > 0, first, 0), last


def build_targets(
    masks: Sequence[torch.Tensor],
    classes: Sequence[torch.Tensor],
    size: tuple[int, int],
    max_objects: int,
) -> InstanceTargets:
    """Bring the objects of a batch to the working resolution, and pad them to one tensor.

    Args:
        masks: an image's objects each, (N_i, H_i, W_i) bool, all on one device.
        classes: (N_i,) int64 each.
        size: H and W of the working resolution; masks of another size are resized (nearest).
        max_objects: of an image with more, the largest are kept.

    Returns:
        Targets with N the largest number of objects in an image of the batch, and at least 1, so
        that a batch without any object takes the same way through the losses.
    """
    resized = [resize_masks(m, size) for m in masks]
    kept = [_largest(m, max_objects) for m in resized]
    resized = [m[k] for m, k in zip(resized, kept, strict=True)]
    labels = [c[k] for c, k in zip(classes, kept, strict=True)]
    scale = torch.tensor([size[1], size[0], size[1], size[0]], dtype=torch.float32)
    boxes = [masks_to_boxes(m) / scale.to(m.device) for m in resized]
    n = max([1, *(len(m) for m in resized)])
    valid = [torch.ones(len(m), dtype=torch.bool, device=m.device) for m in resized]
    return InstanceTargets(
        masks=torch.stack([_pad(m.float(), n) for m in resized]),
        classes=torch.stack([_pad(c, n) for c in labels]),
        boxes=torch.stack([_pad(b, n) for b in boxes]),
        valid=torch.stack([_pad(v, n) for v in valid]),
    )


def resize_masks(masks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(N, h, w) bool to (N, *size) bool by the nearest pixel's centre."""
    if tuple(masks.shape[1:]) == tuple(size) or len(masks) == 0:
        return masks.new_zeros(0, *size) if len(masks) == 0 else masks
    return F.interpolate(masks[None].float(), size=size, mode="nearest-exact")[0] > 0.5


def _largest(masks: torch.Tensor, limit: int) -> torch.Tensor:
    """Indices of the ``limit`` largest masks that still have a pixel, in their given order."""
    areas = masks.flatten(1).sum(1)
    order = torch.argsort(areas, descending=True, stable=True)[:limit]
    return order[areas[order] > 0].sort().values


def _pad(values: torch.Tensor, length: int) -> torch.Tensor:
    """(n, ...) to (length, ...) with zeros."""
    return torch.cat([values, values.new_zeros(length - len(values), *values.shape[1:])])
