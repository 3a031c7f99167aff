"""The trunk of the dense attention model, which every image passes once.

An encoder with one feature map an octave, from stride 2 on, and a decoder that brings the coarse
maps back to strides 8 and 2 by sums with the finer ones (a U-Net, Ronneberger et al. 2015, with
additions in place of concatenations). The encoder is ``layers.residual_encoder``, or any backbone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.layers.conv_blocks import conv_norm, conv_norm_relu

FINE_STRIDE = 2  # of the decoder's finest features, the heat map and the boxes
COARSE_LEVEL = 2  # index of the encoder's level whose stride the coarse features have
COARSE_STRIDE = 8


class BackboneEncoder(nn.Module):
    """The feature maps of any backbone, with a stem of its own at stride 2.

    Backbones that were trained on photographs see three channels and lose detail early; the stem
    sees every pixel of every channel. Its map is added to the backbone's at stride 2, or stands for
    it where the backbone begins at stride 4.

    Args:
        backbone: one of Detectron2's, with maps at strides 4 (or 2), 8, 16, ..., each twice the
            one before.
        in_channels: of the images; the backbone sees the first ``backbone_channels`` of them.
        backbone_channels: of the image as the backbone takes it.
        width: number of channels at stride 2.

    Raises:
        ValueError: the strides are others.
    """

    def __init__(self, backbone: Any, in_channels: int, backbone_channels: int, width: int) -> None:
        super().__init__()
        shapes = backbone.output_shape()
        self.names = sorted(shapes, key=lambda name: shapes[name].stride or 0)
        strides = [shapes[name].stride for name in self.names]
        usual = [FINE_STRIDE * 2**k for k in range(len(strides) + 1)]
        if strides not in (usual[:-1], usual[1:]) or COARSE_STRIDE not in strides:
            raise ValueError(f"has maps at strides {strides}; expected 2 or 4, then 8, 16, ...")
        channels = [shapes[name].channels or 0 for name in self.names]
        self.backbone, self.backbone_channels = backbone, backbone_channels
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(FINE_STRIDE), conv_norm(in_channels * FINE_STRIDE**2, width)
        )
        self.finest = None
        if strides[0] == FINE_STRIDE:
            self.finest = conv_norm(channels.pop(0), width, 1)
        self.widths = (width, *channels)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(B, in_channels, H, W) -> feature maps at strides 2, 4, 8, ..., finest first."""
        found = self.backbone(image[:, : self.backbone_channels])
        features = [found[name] for name in self.names]
        own = self.stem(image)
        if self.finest is not None:
            own = own + self.finest(features.pop(0))
        return [torch.relu(own), *features]


class UNetDecoder(nn.Module):
    """From an encoder's maps to fine features (stride 2) and coarse ones (stride 8).

    Args:
        widths: channels of the encoder's maps, finest first; at least three.
        coarse_width: number of channels of the features at stride 8.
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
