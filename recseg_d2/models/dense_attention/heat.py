"""Where to look: the heat map of objects that are not on the canvas yet."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.layers.conv_blocks import conv_norm_relu, with_bias
from recseg_d2.models.dense_attention.canvas import CANVAS_CHANNELS, block_means, shrink_canvas
from recseg_d2.models.dense_attention.trunk import COARSE_STRIDE, FINE_STRIDE

_RATIO = COARSE_STRIDE // FINE_STRIDE
_SHRUNK = 2 * CANVAS_CHANNELS
_COARSE_WIDTH = 32
REACH = 32  # pixels: a change of the canvas changes no heat farther away than this


@dataclass
class HeatFeatures:
    """The part of the heat map's first layers that the canvas does not change.

    Attributes:
        fine: (B, head_width, H/2, W/2), from the features at stride 2.
        coarse: (B, 32, H/8, W/8), from the features at stride 8.
    """

    fine: torch.Tensor
    coarse: torch.Tensor


class HeatMap(nn.Module):
    """Logits, at stride 2, of "the core of an object that is not on the canvas is here".

    The first convolutions are linear in features and canvas, so the features' share is computed
    once an image and the canvas's share once a step.

    Args:
        fine_width: channels of the features at stride 2.
        coarse_width: channels of the features at stride 8.
        width: channels of the layers in between.
    """

    def __init__(self, fine_width: int, coarse_width: int, width: int) -> None:
        super().__init__()
        self.fine_features = nn.Conv2d(fine_width, width, 3, padding=1, bias=False)
        self.fine_canvas = nn.Conv2d(_SHRUNK, width, 3, padding=1, bias=False)
        self.coarse_features = nn.Conv2d(coarse_width, _COARSE_WIDTH, 3, padding=1, bias=False)
        self.coarse_canvas = nn.Conv2d(_SHRUNK, _COARSE_WIDTH, 3, padding=1, bias=False)
        self.coarse = nn.Sequential(
            nn.BatchNorm2d(_COARSE_WIDTH),
            nn.ReLU(inplace=True),
            nn.Conv2d(_COARSE_WIDTH, width, 3, padding=1, bias=False),
        )
        self.out = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            conv_norm_relu(width, width, dilation=2),
            with_bias(nn.Conv2d(width, 1, 3, padding=1), -2.0),  # most places hold no core
        )

    def prepare(self, fine: torch.Tensor, coarse: torch.Tensor) -> HeatFeatures:
        """What does not depend on the canvas, from the trunk's features."""
        return HeatFeatures(self.fine_features(fine), self.coarse_features(coarse))

    def forward(self, features: HeatFeatures, canvas: torch.Tensor) -> torch.Tensor:
        """Heat logits (B, H/2, W/2) for canvas channels (B, 2, H, W); H and W multiples of 8."""
        shrunk = shrink_canvas(canvas)
        coarse_canvas = self.coarse_canvas(block_means(shrunk, _RATIO))
        coarse = self.coarse(features.coarse + coarse_canvas)
        x = features.fine + self.fine_canvas(shrunk)
        x = x + F.interpolate(coarse, scale_factor=float(_RATIO), mode="nearest")
        return self.out(x)[:, 0].float()


_NEIGHBOURHOOD = 7  # cells; a peak is the largest value among so many along each axis


def heat_peaks(heat: torch.Tensor, least: float) -> torch.Tensor:
    """Bool (..., h, w): the largest value around it, and at least ``least``."""
    around = F.pad(heat, [_NEIGHBOURHOOD // 2] * 4, value=-torch.inf)
    for axis in (-2, -1):
        around = _largest_in_a_row(around, axis)
    return (heat == around) & (heat >= least)


def _largest_in_a_row(values: torch.Tensor, axis: int) -> torch.Tensor:
    """The largest of each ``_NEIGHBOURHOOD`` values along an axis: ``F.max_pool2d``, but twenty
    times as fast on a CPU, since rows that already span several values are compared.
    """
    span = 1
    while span < _NEIGHBOURHOOD:
        shift = min(span, _NEIGHBOURHOOD - span)
        length = values.shape[axis] - shift
        values = torch.maximum(values.narrow(axis, 0, length), values.narrow(axis, shift, length))
        span += shift
    return values
