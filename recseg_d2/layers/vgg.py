"""VGG-16's convolutional part. Source: Simonyan & Zisserman 2015.

State-dict names are torchvision's (``features.0.weight`` ...), so the usual ImageNet weights load;
``torchvision_name`` translates those of Caffe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True)
class Conv5VGG16Options:
    """VGG-16 up to conv5_3."""

    stride: Literal[8, 16] = 8  # of conv5_3: 8, with dilated convolutions, or 16


class Conv5VGG16(nn.Module):
    """The thirteen convolutions of VGG-16, up to conv5_3 and its ReLU, at stride 8 or 16.

    At stride 8 (Chen et al. 2015's "hole algorithm"), pool4 has stride 1, and a 3x3 window so that
    it keeps the size; conv5_1 to conv5_3 are dilated by 2. Inputs whose sides are multiples of the
    stride give features of exactly side / stride cells.

    Args:
        options: the stride of the last features.
        in_width: channels of the image.
    """

    width = VGG16_WIDTHS[-1][-1]

    def __init__(self, options: Conv5VGG16Options, in_width: int = 3) -> None:
        super().__init__()
        self.stride = stride = options.stride
        layers: list[nn.Module] = []
        for number, stage in enumerate(VGG16_WIDTHS, 1):
            dilation = 2 if number == 5 and stride == 8 else 1
            for width in stage:
                conv = nn.Conv2d(in_width, width, 3, padding=dilation, dilation=dilation)
                layers += [conv, nn.ReLU(inplace=True)]
                in_width = width
            if number < 4 or (number == 4 and stride == 16):
                layers.append(nn.MaxPool2d(2))
            elif number == 4:
                layers.append(nn.MaxPool2d(3, stride=1, padding=1))
        self.features = nn.Sequential(*layers)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, 512, H / stride, W / stride)."""
        return self.features(image)


_CAFFE_NAME = re.compile(r"conv([1-5])[._]([1-3])[._](w|weight|b|bias)")
_KINDS = {"w": "weight", "b": "bias"}


def torchvision_name(name: str) -> str:
    """A convolution's name in Caffe's weights ("conv1_1.weight", "conv1_1_w") as torchvision's.

    Other names stay as they are.
    """
    match = _CAFFE_NAME.fullmatch(name)
    if match is None:
        return name
    stage, conv, kind = int(match[1]) - 1, int(match[2]) - 1, match[3]
    before = sum(2 * len(s) + 1 for s in VGG16_WIDTHS[:stage])  # convolution and ReLU; the pool
    return f"features.{before + 2 * conv}.{_KINDS.get(kind, kind)}"
