"""VGG-16's convolutional part. May use: torch only. Source: Simonyan & Zisserman 2015.

State-dict names are torchvision's (``features.0.weight`` ...), so the usual ImageNet weights load.
"""

from __future__ import annotations

import torch
from torch import nn

VGG16_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Module):
    """Five stages of 3x3 convolutions, each closed by a max-pool; features after each pool.

    That is what the public RSIS code takes from it: 64, 128, 256, 512 and 512 channels at strides
    2, 4, 8, 16 and 32.
    """

    widths = tuple(stage[-1] for stage in VGG16_WIDTHS)

    def __init__(self, in_width: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.stage_ends: list[int] = []
        for stage in VGG16_WIDTHS:
            for width in stage:
                layers += [nn.Conv2d(in_width, width, 3, padding=1), nn.ReLU(inplace=True)]
                in_width = width
            layers.append(nn.MaxPool2d(2))
            self.stage_ends.append(len(layers))
        self.features = nn.Sequential(*layers)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) -> five feature maps, finest (stride 2) first."""
        outputs, x, start = [], image, 0
        for end in self.stage_ends:
            x = self.features[start:end](x)
            outputs.append(x)
            start = end
        return outputs
