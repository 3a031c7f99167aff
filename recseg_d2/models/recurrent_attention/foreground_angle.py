"""The pre-processor: foreground (or classes) and the angle towards each object's centroid.

Source: Ren & Zemel 2017, section 2 "Input pre-processing" and table 6.

Shape letters as in ``recseg_d2.structures``; F foreground channels: 1, or C + 1 with the background
first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

ANGLE_CLASSES = 8

# Table 6, a block of convolutions between two poolings each. For KITTI and Cityscapes its size
# columns give conv1-1 64 channels and conv1-2 32, while its kernels (3x3x3x32, 3x3x32x64) and the
# 64 channels of pool1 agree with the leaves' column: the two are taken for swapped, and 32, 64 for
# meant, everywhere.
PAPER_WIDTHS = (
    (32, 64),
    (64, 96),
    (96, 128),
    (128, 128, 128, 128, 128, 128, 128, 256),
    (256, 256, 256, 512),
)
PAPER_SKIPS = (False, False, True, True, True)  # into deconv8-2, deconv7-2 and deconv6-2
NORM_EPS, NORM_MOMENTUM = 1e-3, 0.1  # the public code's batch norm; its moving average keeps 0.9
INIT_STD = 0.01  # of the truncated normal that the public code draws every weight from


@dataclass
class ForegroundAngleMaps:
    """What the pre-processor says of each pixel.

    Attributes:
        foreground_logits: (B, F, H, W); one channel is a sigmoid's, several are a softmax's over
            background, class 0, class 1, ...
        angle_logits: (B, 8, H, W), a softmax's over ``pixel_targets``' angle classes; None where
            the angle is left out.
    """

    foreground_logits: torch.Tensor
    angle_logits: torch.Tensor | None = None

    def foreground(self) -> torch.Tensor:
        """(B, F, H, W) probabilities."""
        if self.foreground_logits.shape[1] == 1:
            return self.foreground_logits.sigmoid()
        return self.foreground_logits.softmax(dim=1)

    def angles(self) -> torch.Tensor | None:
        """(B, 8, H, W) probabilities, or None."""
        return None if self.angle_logits is None else self.angle_logits.softmax(dim=1)

    def channels(self) -> torch.Tensor:
        """(B, 8 + F, H, W): all probabilities, angles first, as the other networks read them."""
        angles = self.angles()
        return self.foreground() if angles is None else torch.cat([angles, self.foreground()], 1)


class ForegroundAngle(nn.Module):
    """The DeconvNet with skips of table 6.

    A block of 3x3 convolutions and a 2x2 max pooling each on the way down; on the way up, for each
    block, a transposed convolution of stride 2 and one of stride 1, as wide as the block's last
    convolution but one, whose features the latter may see beside its own (the paper's skips). Batch
    norm and ReLU follow every layer but the last, which also sees the image. Any image size works.

    Args:
        widths: channels of each block's convolutions, finest first; two or more in each block.
        skips: for each block, whether its features come back on the way up.
        num_classes: C; 0 predicts one foreground channel, otherwise C classes and background.
        angle: whether angles are predicted; without them their channels do not exist.
        in_width: channels of the image.

    Raises:
        ValueError: a block of fewer than two convolutions, or not one skip switch for each block.
    """

    def __init__(
        self,
        widths: Sequence[Sequence[int]] = PAPER_WIDTHS,
        skips: Sequence[bool] = PAPER_SKIPS,
        num_classes: int = 0,
        angle: bool = True,
        in_width: int = 3,
    ) -> None:
        super().__init__()
        if min((len(block) for block in widths), default=0) < 2 or len(skips) != len(widths):
            raise ValueError(
                f"Pre-processor: found blocks of widths {widths} and skips {skips}; expected one "
                "or more blocks of two or more convolutions, and a switch for each."
            )
        self.skips = tuple(bool(s) for s in skips)
        self.foreground_width = num_classes + 1
        self.out_width = self.foreground_width + (ANGLE_CLASSES if angle else 0)
        before = [in_width, *(block[-1] for block in widths[:-1])]
        self.down = nn.ModuleList(
            _block(width, block) for width, block in zip(before, widths, strict=True)
        )
        below = [*(block[-2] for block in widths[1:]), widths[-1][-1]]
        self.up = nn.ModuleList(
            UpBlock(width, block[-2], skip)
            for width, block, skip in zip(below, widths, self.skips, strict=True)
        )
        self.head = nn.Conv2d(widths[0][-2] + in_width, self.out_width, 3, padding=1)
        self._draw_weights()

    def forward(self, images: torch.Tensor) -> ForegroundAngleMaps:
        """(B, in_width, H, W) images -> their maps at the same resolution."""
        x = images
        features: list[torch.Tensor] = []  # what a skip carries, a block each
        for block in self.down:
            *earlier, last = block.children()
            for layer in earlier:
                x = layer(x)
            features.append(x)
            x = F.max_pool2d(last(x), 2, ceil_mode=True)  # ceil: every pixel counts at odd sizes
        for up, feature in zip(reversed(self.up), reversed(features), strict=True):
            x = up(x, feature)
        logits = self.head(torch.cat([x, images], dim=1))
        foreground = logits[:, : self.foreground_width]
        angles = logits[:, self.foreground_width :]
        return ForegroundAngleMaps(foreground, angles if angles.shape[1] else None)

    def _draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.trunc_normal_(module.weight, std=INIT_STD, a=-2 * INIT_STD, b=2 * INIT_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class UpBlock(nn.Module):
    """Two transposed convolutions: stride 2, then stride 1 over its result and a skip.

    Args:
        in_width: channels from below.
        width: channels of the result, and of the skip.
        skip: whether the second one sees the skip.
    """

    def __init__(self, in_width: int, width: int, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.grow = nn.ConvTranspose2d(in_width, width, 3, stride=2, padding=1, bias=False)
        self.grow_norm = _norm(width)
        # at stride 1, a transposed convolution is a convolution with its kernel turned round
        self.join = _layer(2 * width if skip else width, width)

    def forward(self, x: torch.Tensor, feature: torch.Tensor) -> torch.Tensor:
        """(B, in_width, h/2, w/2) and the block's (B, width, h, w) -> (B, width, h, w)."""
        size = [feature.shape[2], feature.shape[3]]
        x = F.relu(self.grow_norm(self.grow(x, output_size=size)))
        return self.join(torch.cat([x, feature], dim=1) if self.skip else x)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=NORM_EPS, momentum=NORM_MOMENTUM)


def _layer(in_width: int, width: int) -> nn.Sequential:
    """3x3 convolution, batch norm (which makes a bias superfluous), ReLU."""
    convolution = nn.Conv2d(in_width, width, 3, padding=1, bias=False)
    return nn.Sequential(convolution, _norm(width), nn.ReLU(inplace=True))


def _block(in_width: int, widths: Sequence[int]) -> nn.Sequential:
    before = [in_width, *widths[:-1]]
    return nn.Sequential(*(_layer(b, w) for b, w in zip(before, widths, strict=True)))
