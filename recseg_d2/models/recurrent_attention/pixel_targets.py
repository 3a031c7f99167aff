"""From object masks to what the pre-processor predicts at each pixel.

Shape letters as in ``recseg_d2.structures``. Source: Ren & Zemel 2017, section 2 and figure 3; the
bins and the resized mask's centroid are the public code's.

The angle of a pixel is that of the vector from it to its object's centroid, measured from the x
axis towards the y axis, which points down. Its 8 classes are sectors of 45 degrees, class k centred
at 45 k degrees: the centroid lies to the right (0), below right (1), below (2), below left (3),
left (4), above left (5), above (6) or above right (7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from recseg_d2.models.recurrent_attention.foreground_angle import ANGLE_CLASSES
from recseg_d2.structures import InstanceTargets

NO_ANGLE = -1  # the angle class of the background, which no loss counts


@dataclass
class PixelTargets:
    """Classes of pixels.

    Attributes:
        foreground: (B, H, W) int64: 0 is background, c + 1 a pixel of class c.
        angle: (B, H, W) int64 in [0, 8), or ``NO_ANGLE`` on the background.
    """

    foreground: torch.Tensor
    angle: torch.Tensor


def build_pixel_targets(targets: InstanceTargets) -> PixelTargets:
    """Pixel targets of a batch; where objects overlap, a pixel belongs to the smallest of them."""
    covered, owner = pixel_owners(targets)
    classes = targets.classes.gather(1, owner.flatten(1)).view_as(owner)
    centres = centroids(targets.masks)
    towards = centres.gather(1, owner.flatten(1)[..., None].expand(-1, -1, 2))
    angle = angle_classes(towards.view(*owner.shape, 2))
    return PixelTargets(
        foreground=torch.where(covered, classes + 1, 0),
        angle=torch.where(covered, angle, NO_ANGLE),
    )


def pixel_owners(targets: InstanceTargets) -> tuple[torch.Tensor, torch.Tensor]:
    """The object that each pixel belongs to.

    Returns:
        covered, (B, H, W) bool: whether there is one; and its index, (B, H, W) int64 in [0, N), 0
        where there is none.
    """
    masks = targets.masks.bool() & targets.valid[:, :, None, None]
    areas = masks.sum(dim=(2, 3))[:, :, None, None]
    outside = areas.new_full((), masks.shape[2] * masks.shape[3] + 1)
    smallest = torch.where(masks, areas, outside).min(dim=1)
    covered = smallest.values < outside
    return covered, torch.where(covered, smallest.indices, 0)


def centroids(masks: torch.Tensor) -> torch.Tensor:
    """Mean position of each mask's pixels.

    Args:
        masks: (B, N, H, W), 0 or 1, the masks of the true objects.

    Returns:
        (B, N, 2) float32, y and x in pixels, pixel centres at integers; 0 0 for an empty mask.
    """
    rows, columns = masks.float().sum(dim=3), masks.float().sum(dim=2)
    area = rows.sum(dim=2).clamp(min=1)
    y = rows @ torch.arange(rows.shape[2], device=rows.device, dtype=rows.dtype) / area
    x = columns @ torch.arange(columns.shape[2], device=rows.device, dtype=rows.dtype) / area
    return torch.stack([y, x], dim=2)


def angle_classes(towards: torch.Tensor) -> torch.Tensor:
    """The class of the direction from each pixel to a point of its own.

    Args:
        towards: (B, H, W, 2) y and x of the point, in pixels.

    Returns:
        (B, H, W) int64 in [0, 8); 0 where the point is the pixel itself.
    """
    height, width = towards.shape[1:3]
    y = torch.arange(height, device=towards.device)[:, None]
    x = torch.arange(width, device=towards.device)[None, :]
    angle = torch.atan2(towards[..., 0] - y, towards[..., 1] - x)
    sector = 2 * math.pi / ANGLE_CLASSES
    return torch.floor((angle + sector / 2) / sector).long() % ANGLE_CLASSES
