"""Convolutions with batch norm, the building blocks of small networks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.layers.step_norm import fixed_affine


class ConvNorm(nn.Sequential):
    """A convolution without bias, a batch norm, and what follows.

    In evaluation the first two are one convolution.

    Args:
        conv: the convolution, ungrouped and padded with zeros.
        norm: a batch norm.
        rest: what follows.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, *rest: nn.Module) -> None:
        super().__init__(conv, norm, *rest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_width, h, w) -> (B, out_width, h', w')."""
        conv, norm, *rest = self
        assert isinstance(conv, nn.Conv2d)
        affine = fixed_affine(norm)
        if affine is None:
            x = norm(conv(x))
        else:
            scale, shift = affine
            weight = conv.weight * scale[:, None, None, None]
            x = F.conv2d(x, weight, shift, conv.stride, conv.padding, conv.dilation)
        for module in rest:
            x = module(x)
        return x


def conv_norm(
    in_width: int, out_width: int, size: int = 3, stride: int = 1, dilation: int = 1
) -> ConvNorm:
    """Convolution and batch norm; the size is kept at stride 1."""
    padding = dilation * (size // 2)
    return ConvNorm(
        nn.Conv2d(in_width, out_width, size, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(out_width),
    )


def conv_norm_relu(
    in_width: int, out_width: int, size: int = 3, stride: int = 1, dilation: int = 1
) -> ConvNorm:
    """``conv_norm`` and a ReLU."""
    conv, norm = conv_norm(in_width, out_width, size, stride, dilation)
    return ConvNorm(conv, norm, nn.ReLU(inplace=True))  # type: ignore[arg-type]


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
