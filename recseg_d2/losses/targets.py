"""From the masks of a batch to what a criterion compares with.

Shape letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Literal

import torch

from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.layers.masks import resize_masks
from recseg_d2.layers.matching import gather_objects
from recseg_d2.structures import InstanceTargets

Order = Literal["any", "right_to_left", "top_to_bottom", "large_to_small"]


def in_order(targets: InstanceTargets, order: Order) -> InstanceTargets:
    """The objects of each image in a fixed order, padding still last.

    Sources: Salvador et al. 2017, which compares a matching with fixed orders; the public code of
    Ren & Zemel 2017, which sorts by area.

    Args:
        targets: of a batch.
        order: by the mean column or row of an object's pixels, or by their number; objects that are
            equal keep their order, and so do all with "any".
    """
    if order == "any":
        return targets
    masks = targets.masks
    area = masks.sum((2, 3))
    axis, count = (3, 2) if order == "right_to_left" else (2, 3)
    place = torch.arange(masks.shape[axis], device=masks.device, dtype=masks.dtype)
    centre = (masks.sum(count) * place).sum(2) / area.clamp(min=1)
    value = {"right_to_left": -centre, "top_to_bottom": centre, "large_to_small": -area}[order]
    index = value.masked_fill(~targets.valid, torch.inf).argsort(dim=1, stable=True)
    return InstanceTargets(
        **{f.name: gather_objects(getattr(targets, f.name), index) for f in fields(targets)}
    )


def build_targets(
    masks: Sequence[torch.Tensor],
    classes: Sequence[torch.Tensor],
    size: tuple[int, int],
    max_objects: int,
) -> InstanceTargets:
    """Bring the objects of a batch to the working resolution, and pad them to one tensor.

    Args:
        masks: an image's objects each, (N_i, H_i, W_i) bool, all on one device.
        classes: (N_i,) int64 for each image, the class of each object from 0.
        size: H and W of the working resolution; masks of another size are resized (nearest).
        max_objects: most objects of an image; of an image with more, the largest are kept.

    Returns:
        Targets with N the largest number of objects in an image of the batch, and at least 1, so
        that a batch without any object takes the same way through the losses.
    """
    resized = [resize_masks(m, size) for m in masks]
    areas = torch.cat([m.flatten(1).sum(1) for m in resized]).cpu()  # the host waits once a batch
    kept = [_largest(a, max_objects) for a in areas.split([len(m) for m in resized])]
    resized = [_taken(m, k) for m, k in zip(resized, kept, strict=True)]
    labels = [_taken(c, k) for c, k in zip(classes, kept, strict=True)]
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


def _largest(areas: torch.Tensor, limit: int) -> torch.Tensor:
    """Indices of the ``limit`` largest of (n,) areas that are not 0, in their given order."""
    order = torch.argsort(areas, descending=True, stable=True)[:limit]
    return order[areas[order] > 0].sort().values


def _taken(values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Rows of (n, ...) by indices on the CPU; seldom are any left out."""
    return values if len(kept) == len(values) else values[kept.to(values.device)]


def _pad(values: torch.Tensor, length: int) -> torch.Tensor:
    """(n, ...) to (length, ...) with zeros."""
    return torch.cat([values, values.new_zeros(length - len(values), *values.shape[1:])])
