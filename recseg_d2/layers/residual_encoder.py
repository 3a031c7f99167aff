"""A small residual encoder that sees every pixel, from stride 2 on."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import nn

from recseg_d2.layers.conv_blocks import ResidualBlock, conv_norm_relu

_STEM_STRIDE = 2


@dataclass(frozen=True)
class ResidualEncoderOptions:
    """The residual encoder, one feature map an octave."""

    widths: tuple[int, ...] = (24, 48, 80, 112, 128)  # channels at strides 2, 4, 8, ...
    stem_blocks: int = 0  # residual blocks at stride 2, where they cost most


class ResidualEncoder(nn.Module):
    """A small residual network: a stem that loses no pixel, then strided levels of one block each.

    Args:
        options: channels and blocks of the levels.
        in_channels: number of channels of the image.
    """

    def __init__(self, options: ResidualEncoderOptions, in_channels: int) -> None:
        super().__init__()
        self.widths = widths = options.widths
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(_STEM_STRIDE),  # each 2 x 2 block of pixels becomes channels
            conv_norm_relu(in_channels * _STEM_STRIDE**2, widths[0]),
            *(ResidualBlock(widths[0]) for _ in range(options.stem_blocks)),
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
