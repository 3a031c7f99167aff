"""How much boxes overlap: the two measures of Ren & Zemel.

Source: Ren & Zemel 2017, section 2.5 (b), eq. 25 and 26. Letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from recseg_d2.layers.boxes import fill_corners, pad_corners
from recseg_d2.layers.matching import soft_iou_matrix
from recseg_d2.structures import InstanceTargets

MEASURES = ("gaussian", "coordinates", "wasserstein")
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


@dataclass(frozen=True)
class BoxIoU:
    """Intersection over union of predicted boxes with padded target boxes.

    Attributes:
        measure: "gaussian": soft IoU of the Gaussian box with the target's map, whose gradient does
            not vanish where boxes do not overlap; "coordinates": of the corners; "wasserstein":
            ``wasserstein_matrix`` in place of an IoU (beyond the paper), which leads small boxes to
            small objects from anywhere in the image.
        padding_ratio: target boxes grow by this share of their size on each side ...
        min_padding: ... and by at least this many pixels.

    Raises:
        ValueError: an unknown measure.
    """

    measure: str = "gaussian"
    padding_ratio: float = 0.2
    min_padding: float = 20.0

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise ValueError(
                f"Found box IoU {self.measure!r}; expected one of {MEASURES} (MODEL.RIS.BOX_IOU)."
            )

    def pad(self, targets: InstanceTargets) -> PaddedBoxes:
        """The boxes that predictions are compared with."""
        height, width = targets.masks.shape[2:]
        scale = targets.boxes.new_tensor([width, height, width, height])
        corners = pad_corners(targets.boxes * scale, self.padding_ratio, self.min_padding)
        maps = fill_corners(corners, (height, width)) * targets.valid[..., None, None]
        return PaddedBoxes(corners, maps)

    def matrix(
        self, box_logits: torch.Tensor, corners: torch.Tensor, padded: PaddedBoxes
    ) -> torch.Tensor:
        """IoU of every prediction with every target.

        Args:
            box_logits: (B, T, H, W), eq. 25 before the sigmoid.
            corners: (B, T, 4) of the same boxes, x1 y1 x2 y2 in pixels.
            padded: from ``pad``.

        Returns:
            (B, T, N) in [0, 1], differentiable in what the measure looks at.
        """
        if self.measure == "gaussian":
            return soft_iou_matrix(box_logits.sigmoid(), padded.maps)
        if self.measure == "coordinates":
            return corner_iou_matrix(corners, padded.corners)
        height, width = padded.maps.shape[2:]
        return wasserstein_matrix(corners, padded.corners, REACH * math.sqrt(height * width))


def corner_iou_matrix(predicted: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """IoU of boxes by their corners.

    Args:
        predicted: (B, T, 4) x1 y1 x2 y2.
        targets: (B, N, 4), in the same units.

    Returns:
        (B, T, N).
    """
    a, b = predicted[:, :, None], targets[:, None]
    low = torch.maximum(a[..., :2], b[..., :2])
    high = torch.minimum(a[..., 2:], b[..., 2:])
    intersection = (high - low).clamp(min=0).prod(dim=-1)
    areas = [(x[..., 2:] - x[..., :2]).clamp(min=0).prod(dim=-1) for x in (a, b)]
    return intersection / (areas[0] + areas[1] - intersection + EPS)


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
        reach: in these units, above 0.

    Returns:
        (B, T, N) in (0, 1], 1 for equal boxes.
    """
    a, b = (
        torch.cat([(x[..., :2] + x[..., 2:]) / 2, (x[..., 2:] - x[..., :2]) / 2], dim=-1)
        for x in (predicted, targets)
    )
    squares = (a[:, :, None] - b[:, None]).square().sum(dim=-1)
    return torch.exp(-torch.sqrt(squares + EPS) / reach)
