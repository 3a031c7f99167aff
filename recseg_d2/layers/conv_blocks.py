"""Convolutions with batch norm, the building blocks of small networks."""

from __future__ import annotations

import torch
from torch import nn


def conv_norm(
    in_width: int, out_width: int, size: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution without bias and batch norm; the size is kept at stride 1."""
    padding = dilation * (size // 2)
    return nn.Sequential(
        nn.Conv2d(in_width, out_width, size, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(out_width),
    )


def conv_norm_relu(
    in_width: int, out_width: int, size: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """``conv_norm`` and a ReLU."""
    return nn.Sequential(
        *conv_norm(in_width, out_width, size, stride, dilation), nn.ReLU(inplace=True)
    )


def with_bias(layer: nn.Conv2d, value: float) -> nn.Conv2d:
    """The layer with its bias set to a value, where training is to begin."""
    assert layer.bias is not None
    nn.init.constant_(layer.bias, value)
    return layer


class ResidualBlock(nn.Module):
    """relu(x + conv(relu(conv(x)))), the width unchanged (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(width, width)
        self.second = conv_norm(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, width, h, w) -> the same."""
        return torch.relu(x + self.second(self.first(x)))
