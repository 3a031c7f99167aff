"""The trunk of the dense attention model, which every image passes once.

An encoder with one feature map an octave, from stride 2 on, and a decoder that brings the coarse
maps back to strides 8 and 2 by sums with the finer ones (a U-Net, Ronneberger et al. 2015, with
additions in place of concatenations).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.layers.conv_blocks import ResidualBlock, conv_norm_relu

FINE_STRIDE = 2  # of the decoder's finest features, the heat map and the boxes
COARSE_LEVEL = 2  # index of the encoder's level whose stride the coarse features have
COARSE_STRIDE = 8


class ResidualEncoder(nn.Module):
    """A small residual network: a stem that loses no pixel, then strided levels.

    Args:
        in_channels: of the image.
        widths: channels at strides 2, 4, 8, ...
        stem_blocks: residual blocks at stride 2; the other levels have one each.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], stem_blocks: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(FINE_STRIDE),  # each 2 x 2 block of pixels becomes channels
            conv_norm_relu(in_channels * FINE_STRIDE**2, widths[0]),
            *(ResidualBlock(widths[0]) for _ in range(stem_blocks)),
        )
        self.levels = nn.ModuleList(
            nn.Sequential(conv_norm_relu(before, width, stride=2), ResidualBlock(width))
            for before, width in itertools.pairwise(widths)
        )

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(B, in_channels, H, W) -> feature maps at strides 2, 4, 8, ..., finest first.

        H and W are multiples of the coarsest stride.
        """
        features = [self.stem(image)]
        for level in self.levels:
            features.append(level(features[-1]))
        return features


class UNetDecoder(nn.Module):
    """From an encoder's maps to fine features (stride 2) and coarse ones (stride 8).

    Args:
        widths: channels of the encoder's maps, finest first; at least three.
        coarse_width: channels of the coarse features.
    """

    def __init__(self, widths: Sequence[int], coarse_width: int) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.reduce = nn.ModuleList(conv_norm_relu(deep, own, 1) for own, deep in pairs)
        self.merge = nn.ModuleList(conv_norm_relu(own, own) for own, _ in pairs)
        self.coarse = conv_norm_relu(widths[COARSE_LEVEL], coarse_width, 1)

    def forward(self, features: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps, finest first -> (B, widths[0], H/2, W/2) and (B, coarse_width, H/8, W/8)."""
        x, coarse = features[-1], None
        if len(features) - 1 == COARSE_LEVEL:
            coarse = self.coarse(x)
        for level in range(len(features) - 2, -1, -1):
            below = F.interpolate(self.reduce[level](x), scale_factor=2.0, mode="nearest")
            x = self.merge[level](below + features[level])
            if level == COARSE_LEVEL:
                coarse = self.coarse(x)
        assert coarse is not None
        return x, coarse
