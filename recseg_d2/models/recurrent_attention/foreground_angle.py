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

from recseg_d2.layers.conv_blocks import ConvNorm
from recseg_d2.models.recurrent_attention.options import PreprocessorOptions

ANGLE_CLASSES = 8
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

    def float(self) -> ForegroundAngleMaps:
        """The same in float32."""
        angles = self.angle_logits
        return ForegroundAngleMaps(
            self.foreground_logits.float(), None if angles is None else angles.float()
        )

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
    convolution but one; the latter may see features of the way down beside its own (the paper's
    skips). Batch norm and ReLU follow every layer but the last, which may see the image too. Any
    image size works.

    Args:
        options: the blocks, and what is predicted; without angles their channels do not exist.
        num_classes: C, number of classes; they are predicted where the options say so.
        in_width: channels of the image.
    """

    def __init__(self, options: PreprocessorOptions, num_classes: int, in_width: int = 3) -> None:
        super().__init__()
        widths = options.widths
        self.foreground_width = num_classes + 1 if options.semantic else 1
        self.out_width = self.foreground_width + (ANGLE_CLASSES if options.angle else 0)
        before = [in_width, *(block[-1] for block in widths[:-1])]
        self.down = nn.ModuleList(
            _block(width, block) for width, block in zip(before, widths, strict=True)
        )
        below = [*(block[-2] for block in widths[1:]), widths[-1][-1]]
        self.skips = options.skips
        carried = [
            0 if skip < 0 else (into, *block)[skip]
            for into, block, skip in zip(before, widths, options.skips, strict=True)
        ]
        self.up = nn.ModuleList(
            UpBlock(width, block[-2], skip)
            for width, block, skip in zip(below, widths, carried, strict=True)
        )
        self.head_sees_image = options.head_sees_image
        seen = widths[0][-2] + (in_width if options.head_sees_image else 0)
        self.head = nn.Conv2d(seen, self.out_width, 3, padding=1)
        self._draw_weights()

    def forward(self, images: torch.Tensor) -> ForegroundAngleMaps:
        """(B, in_width, H, W) images -> their maps at the same resolution."""
        x = images
        carried: list[torch.Tensor | None] = []  # by a skip, a block each
        sizes = []
        for block, skip in zip(self.down, self.skips, strict=True):
            outputs = [x]
            for layer in block.children():
                outputs.append(layer(outputs[-1]))
            carried.append(outputs[skip] if skip >= 0 else None)
            sizes.append((x.shape[2], x.shape[3]))
            x = F.max_pool2d(outputs[-1], 2, ceil_mode=True)  # ceil: every pixel counts
        for up, feature, size in zip(reversed(self.up), carried[::-1], sizes[::-1], strict=True):
            x = up(x, feature, size)
        logits = self.head(torch.cat([x, images], dim=1) if self.head_sees_image else x)
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
        in_width: channels of the coarser features.
        width: channels of the result.
        skip: channels of the skip that the second one sees; 0 is none.
    """

    def __init__(self, in_width: int, width: int, skip: int) -> None:
        super().__init__()
        self.grow = nn.ConvTranspose2d(in_width, width, 3, stride=2, padding=1, bias=False)
        self.grow_norm = _norm(width)
        # at stride 1, a transposed convolution is a convolution with its kernel turned round
        self.join = _layer(width + skip, width)

    def forward(
        self, x: torch.Tensor, feature: torch.Tensor | None, size: tuple[int, int]
    ) -> torch.Tensor:
        """(B, in_width, h/2, w/2) and the skip's (B, skip, h, w), if any -> (B, width, h, w)."""
        x = F.relu(self.grow_norm(self.grow(x, output_size=list(size))), inplace=True)
        return self.join(x if feature is None else torch.cat([x, feature], dim=1))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=NORM_EPS, momentum=NORM_MOMENTUM)


def _layer(in_width: int, width: int) -> ConvNorm:
    """3x3 convolution, batch norm (which makes a bias superfluous), ReLU."""
    convolution = nn.Conv2d(in_width, width, 3, padding=1, bias=False)
    return ConvNorm(convolution, _norm(width), nn.ReLU(inplace=True))


def _block(in_width: int, widths: Sequence[int]) -> nn.Sequential:
    before = [in_width, *widths[:-1]]
    return nn.Sequential(*(_layer(b, w) for b, w in zip(before, widths, strict=True)))
