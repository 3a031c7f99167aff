"""What is there: the mask, the score and the class of the one object of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.layers.conv_blocks import conv_norm_relu

_SCORE_WIDTH = 64


@dataclass
class WindowOutputs:
    """What is found in K windows.

    Attributes:
        masks: (K, G, G), mask logits of each window.
        scores: (K,) logits of the mask's quality, 0 where there is no object to be found.
        classes: (K, C) logits, or None where there is one class.
    """

    masks: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor | None


class WindowNetwork(nn.Module):
    """A small U-Net on the grid of a window.

    Args:
        in_width: channels of what is read in a window.
        widths: channels of the three levels.
        num_classes: C; no class is predicted where it is 1.
    """

    def __init__(self, in_width: int, widths: Sequence[int], num_classes: int = 1) -> None:
        super().__init__()
        fine, middle, deep = widths
        self.fine = _pair(in_width, fine, 1)
        self.middle = _pair(fine, middle, 2)
        self.deep = _pair(middle, deep, 2)
        self.reduce_deep = conv_norm_relu(deep, middle, 1)
        self.merge_middle = conv_norm_relu(middle, middle)
        self.reduce_middle = conv_norm_relu(middle, fine, 1)
        self.merge_fine = conv_norm_relu(fine, fine)
        self.mask = nn.Conv2d(fine, 1, 1)
        summary = 2 * deep + fine
        self.score = _perceptron(summary, 1)
        self.cls = _perceptron(summary, num_classes) if num_classes > 1 else None

    def forward(self, x: torch.Tensor) -> WindowOutputs:
        """(K, in_width, G, G), G a multiple of 4, to what is found in each window."""
        fine = self.fine(x)
        middle = self.middle(fine)
        deep = self.deep(middle)
        y = self.merge_middle(_double(self.reduce_deep(deep)) + middle)
        y = self.merge_fine(_double(self.reduce_middle(y)) + fine)
        masks = self.mask(y).float()
        weights = masks.detach().sigmoid()  # the score judges the mask, it does not shape it
        inside = (y * weights).sum((2, 3)) / (weights.sum((2, 3)) + 1)
        summary = torch.cat([deep.mean((2, 3)), deep.amax((2, 3)), inside], dim=1)
        classes = None if self.cls is None else self.cls(summary).float()
        return WindowOutputs(masks[:, 0], self.score(summary)[:, 0].float(), classes)


def _pair(in_width: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        conv_norm_relu(in_width, width, stride=stride), conv_norm_relu(width, width)
    )


def _perceptron(in_width: int, out_width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_width, _SCORE_WIDTH), nn.ReLU(inplace=True), nn.Linear(_SCORE_WIDTH, out_width)
    )


def _double(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
