"""A small convolutional encoder for CPUs and small images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from recseg_d2.layers.conv_blocks import ResidualBlock, conv_norm_relu
from recseg_d2.layers.coordinates import NUM_COORDINATES, append_coordinates


@dataclass(frozen=True)
class SmallEncoderOptions:
    """The small encoder, an octave a level."""

    widths: tuple[int, ...] = (16, 24, 32, 64, 96)  # channels at strides 2, 4, 8, ...
    coordinates: bool = False  # y, x and radius channels beside the image


class SmallEncoder(nn.Module):
    """One level an octave: a strided convolution and a residual block each.

    Args:
        options: channels of each level, and whether coordinates are added to the image.
        in_width: channels of the image.
    """

    def __init__(self, options: SmallEncoderOptions, in_width: int = 3) -> None:
        super().__init__()
        self.widths = widths = options.widths
        self.coordinates = options.coordinates
        first = in_width + (NUM_COORDINATES if self.coordinates else 0)
        self.levels = nn.ModuleList(
            nn.Sequential(conv_norm_relu(before, width, stride=2), ResidualBlock(width))
            for before, width in zip([first, *widths[:-1]], widths, strict=True)
        )

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(B, in_width, H, W) -> the levels' features, finest first."""
        x = append_coordinates(image) if self.coordinates else image
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        return features
