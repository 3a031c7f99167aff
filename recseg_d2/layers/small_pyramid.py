"""A small encoder with fine features that see far, for CPUs.

Source: the top-down path of feature pyramids (Lin et al. 2017), with one output.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

GROUP_WIDTH = 8  # channels that are normalised together


def conv_norm(in_width: int, out_width: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution and group norm: batches of a few images of different sizes have no statistics.

    Raises:
        ValueError: ``out_width`` is no multiple of ``GROUP_WIDTH``.
    """
    if out_width % GROUP_WIDTH:
        raise ValueError(f"width is {out_width}, expected a multiple of {GROUP_WIDTH}.")
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


class SmallPyramid(nn.Module):
    """Levels at strides 2, 4, 8, ...; the coarse ones come back to the output's stride.

    A level is a strided convolution and residual blocks (none at stride 2, where they would cost
    most). On the way back each level's features, projected to one width, are added to the coarser
    ones, and a residual block follows at the output.

    Args:
        widths: channels of the levels.
        blocks: residual blocks of each level.
        out_width: channels of the output.
        stride: of the output; 4 or more.
        in_width: channels of the image.
    """

    def __init__(
        self,
        widths: Sequence[int],
        blocks: Sequence[int],
        out_width: int,
        stride: int = 4,
        in_width: int = 3,
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"{len(widths)} widths and {len(blocks)} blocks, expected as many.")
        strides = [2 ** (i + 1) for i in range(len(widths))]
        if stride not in strides:
            raise ValueError(f"stride is {stride}, expected one of {strides}.")
        self.width, self.stride = out_width, stride
        self.first = strides.index(stride)
        self.levels = nn.ModuleList(
            nn.Sequential(
                conv_norm(before, width, stride=2),
                nn.ReLU(inplace=True),
                *(Residual(width) for _ in range(count)),
            )
            for before, width, count in zip([in_width, *widths[:-1]], widths, blocks, strict=True)
        )
        self.laterals = nn.ModuleList(conv_norm(w, out_width, 1) for w in widths[self.first :])
        self.merge = Residual(out_width)

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
