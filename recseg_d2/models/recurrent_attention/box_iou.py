"""How much boxes overlap: the two measures of Ren & Zemel.

Source: Ren & Zemel 2017, section 2.5 (b), eq. 25 and 26. Letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from recseg_d2.layers.boxes import box_iou, fill_corners, pad_corners
from recseg_d2.layers.matching import soft_iou_matrix
from recseg_d2.models.recurrent_attention.options import BoxIoUOptions
from recseg_d2.structures import InstanceTargets

REACH = 0.25  # of "wasserstein": distance, as a share of the image's mean side, that divides by e
EPS = 1e-6  # square pixels; keeps two empty boxes at 0 instead of 0/0


@dataclass
class PaddedBoxes:
    """Target boxes of a batch, padded as eq. 26 has it.

    Attributes:
        corners: (B, N, 4) x1 y1 x2 y2 in pixels; may reach beyond the image.
        maps: (B, N, H, W), 1 inside; 0 for padding objects.
    """

    corners: torch.Tensor
    maps: torch.Tensor


class BoxIoU:
    """Intersection over union of predicted boxes with padded target boxes.

    Args:
        options: the measure, and the padding of target boxes.
    """

    def __init__(self, options: BoxIoUOptions) -> None:
        self.options = options

    def pad(self, targets: InstanceTargets) -> PaddedBoxes:
        """The boxes that predictions are compared with."""
        height, width = targets.masks.shape[2:]
        scale = targets.boxes.new_tensor([width, height, width, height])
        corners = self.grow(targets.boxes * scale)
        maps = fill_corners(corners, (height, width)) * targets.valid[..., None, None]
        return PaddedBoxes(corners, maps)

    def grow(self, corners: torch.Tensor, more: float | torch.Tensor = 0.0) -> torch.Tensor:
        """Eq. 26's Pad, of boxes to compare with and of those that are fed as windows alike.

        Args:
            corners: (..., 4) x1 y1 x2 y2 in pixels, tight.
            more: added to the padding ratio; (..., 1) for each box its own.
        """
        ratio = self.options.padding_ratio + more
        return pad_corners(corners, ratio, self.options.min_padding)

    def matrix(
        self, box_logits: torch.Tensor, corners: torch.Tensor, padded: PaddedBoxes
    ) -> torch.Tensor:
        """IoU of every prediction with every target.

        Args:
            box_logits: (B, T, H, W), eq. 25 before the sigmoid.
            corners: (B, T, 4) of the same boxes, x1 y1 x2 y2 in pixels.
            padded: the padded boxes of the targets, from ``pad``.

        Returns:
            (B, T, N) in [0, 1], differentiable in what the measure looks at.
        """
        if self.options.measure == "gaussian":
            return soft_iou_matrix(box_logits.sigmoid(), padded.maps)
        if self.options.measure == "coordinates":
            return box_iou(corners, padded.corners, EPS)
        height, width = padded.maps.shape[2:]
        return wasserstein_matrix(corners, padded.corners, REACH * math.sqrt(height * width))


def wasserstein_matrix(
    predicted: torch.Tensor, targets: torch.Tensor, reach: float
) -> torch.Tensor:
    """Normalised Wasserstein similarity ``exp(-d / reach)`` of boxes (Wang et al. 2021).

    d is the distance of the normal distributions that boxes stand for, with mean at the centre and
    half the sides as standard deviations: the root of the sum of squares of both's differences. It
    is smooth, and alike for boxes that overlap and those that do not.

    Args:
        predicted: (B, T, 4) x1 y1 x2 y2.
        targets: (B, N, 4), in the same units.
        reach: distance in these units, above 0, at which the similarity is 1 / e.

    Returns:
        (B, T, N) in (0, 1], 1 for equal boxes.
    """
    a, b = (
        torch.cat([(x[..., :2] + x[..., 2:]) / 2, (x[..., 2:] - x[..., :2]) / 2], dim=-1)
        for x in (predicted, targets)
    )
    squares = (a[:, :, None] - b[:, None]).square().sum(dim=-1)
    return torch.exp(-torch.sqrt(squares + EPS) / reach)
