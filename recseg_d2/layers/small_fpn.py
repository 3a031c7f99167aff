"""A small encoder in the style of FPN, with fine features that see far, for CPUs.

Source: the top-down path of feature pyramid networks (Lin et al. 2017), with one output.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.errors import require

GROUP_WIDTH = 8  # channels that are normalised together


@dataclass(frozen=True)
class SmallFPNOptions:
    """The small FPN-style encoder, whose one feature map is fine and sees far."""

    widths: tuple[int, ...] = (16, 32, 64, 96)  # channels at strides 2, 4, 8, ...; multiples of 8
    blocks: tuple[int, ...] = (0, 1, 1, 1)  # residual blocks of each level
    out_width: int = 64  # channels of its feature map, a multiple of 8
    stride: int = 4  # of its feature map: one of 2, 4, 8, ...

    def __post_init__(self) -> None:
        for name, widths in (("widths", self.widths), ("out_width", (self.out_width,))):
            whole = not any(width % GROUP_WIDTH for width in widths)
            require(whole, self, name, f"multiples of {GROUP_WIDTH}")
        as_many = len(self.blocks) == len(self.widths)
        require(as_many, self, "blocks", f"one number for each of {len(self.widths)} widths")
        require(self.stride in self.strides, self, "stride", f"one of {self.strides}")

    @property
    def strides(self) -> list[int]:
        """Stride of each level in pixels."""
        return [2 ** (i + 1) for i in range(len(self.widths))]


def conv_norm(in_width: int, out_width: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution and group norm: batches of a few images of different sizes have no statistics."""
    return nn.Sequential(
        nn.Conv2d(in_width, out_width, size, stride=stride, padding=size // 2, bias=False),
        nn.GroupNorm(out_width // GROUP_WIDTH, out_width),
    )


class Residual(nn.Module):
    """relu(x + conv(relu(conv(x)))), the width unchanged."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_norm(width, width)
        self.second = conv_norm(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, width, h, w) -> the same."""
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class SmallFPN(nn.Module):
    """Levels at strides 2, 4, 8, ...; the coarse ones come back to the output's stride.

    A level is a strided convolution and residual blocks (none at stride 2, where they would cost
    most). On the way back each level's features, projected to one width, are added to the coarser
    ones, and a residual block follows at the output.

    Args:
        options: channels and blocks of the levels, and the width and stride of the output.
        in_width: channels of the image.
    """

    def __init__(self, options: SmallFPNOptions, in_width: int = 3) -> None:
        super().__init__()
        widths, blocks = options.widths, options.blocks
        self.width, self.stride = options.out_width, options.stride
        self.first = options.strides.index(options.stride)
        self.levels = nn.ModuleList(
            nn.Sequential(
                conv_norm(before, width, stride=2),
                nn.ReLU(inplace=True),
                *(Residual(width) for _ in range(count)),
            )
            for before, width, count in zip([in_width, *widths[:-1]], widths, blocks, strict=True)
        )
        self.laterals = nn.ModuleList(conv_norm(w, self.width, 1) for w in widths[self.first :])
        self.merge = Residual(self.width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, in_width, H, W) -> (B, out_width, H / stride, W / stride)."""
        x, features = image, []
        for level in self.levels:
            x = level(x)
            features.append(x)
        *finer, back = (
            lateral(feature)
            for lateral, feature in zip(self.laterals, features[self.first :], strict=True)
        )
        for own in reversed(finer):
            back = own + _double(back, own)
        return self.merge(torch.relu(back))


def _double(coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """Twice the size, as far as the finer features go where their side is odd."""
    doubled = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
    return doubled[..., : fine.shape[2], : fine.shape[3]]
