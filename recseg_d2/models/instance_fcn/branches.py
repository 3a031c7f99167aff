"""The two branches on top of the features, and how a mask comes out of the first.

Source: Dai et al. 2016, sections 3.3 and 4.1. Shape letters as in ``recseg_d2.layers.assembling``;
s is the side of a mask in mask pixels.
"""

from __future__ import annotations

import torch
from torch import nn

from recseg_d2.layers.assembling import assemble, gather_windows

INIT_STD = 0.01  # of the Gaussian that every convolution of the branches is drawn from
POOL = 2  # of the score branch of DeepMask


class AssemblingMaskBranch(nn.Module):
    """1x1 convolution, ReLU and 3x3 convolution to k * k instance-sensitive score maps.

    Args:
        in_width: channels of the features.
        width: channels of the first convolution; 512 in the paper.
        parts: k, parts of an object along each side.
        cells: m, cells along a side of a window.
    """

    def __init__(self, in_width: int, width: int, parts: int, cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.mask_side = cells
        self.transform = nn.Conv2d(in_width, width, 1)
        self.score_maps = nn.Conv2d(width, parts * parts, 3, padding=1)
        init_gaussian(self)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, in_width, h, w) -> (B, k * k, h, w) logits."""
        return self.score_maps(torch.relu(self.transform(features)))

    def mask_logits(self, maps: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """What ``forward`` gave, and (R, 3) windows -> (R, m, m)."""
        return assemble(maps, windows, self.cells)


class ObjectnessBranch(nn.Module):
    """3x3 convolution, ReLU and 1x1 convolution to one score a window.

    Args:
        in_width: channels of the features.
        width: channels of the first convolution; 512 in the paper.
    """

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(in_width, width, 3, padding=1)
        self.score = nn.Conv2d(width, 1, 1)
        init_gaussian(self)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, in_width, h, w) -> (B, 1, h, w) logits."""
        return self.score(torch.relu(self.transform(features)))


class DeepMaskBranch(nn.Module):
    """The baseline of table 2: fully connected layers give each window's mask at once.

    1x1 convolution and ReLU on the features; of a window's m x m cells a linear layer makes
    ``width`` values, and a second one the s x s mask, as in DeepMask (Pinheiro et al. 2015).

    Args:
        in_width: channels of the features.
        width: output channels of the convolution and of the first linear layer; 512 in the paper.
        cells: m, cells along a side of a window; 14 in the paper.
        mask_side: s, values along a side of a mask; 56 in the paper.
    """

    def __init__(self, in_width: int, width: int, cells: int, mask_side: int) -> None:
        super().__init__()
        self.cells = cells
        self.mask_side = mask_side
        self.transform = nn.Conv2d(in_width, width, 1)
        self.hidden = nn.Linear(width * cells * cells, width)
        self.mask = nn.Linear(width, mask_side * mask_side)
        init_gaussian(self)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, in_width, h, w) -> (B, width, h, w), what windows are cut from."""
        return torch.relu(self.transform(features))

    def mask_logits(self, maps: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """What ``forward`` gave, and (R, 3) windows -> (R, s, s); cells outside count as 0."""
        half = self.cells // 2
        corners = windows - windows.new_tensor([0, half, half])
        width = maps.shape[1]
        channels = torch.arange(width, device=maps.device)[:, None, None]
        cells = gather_windows(maps, corners, channels.expand(-1, self.cells, self.cells))
        logits = self.mask(self.hidden(cells.flatten(1)))
        return logits.view(-1, self.mask_side, self.mask_side)


class DeepMaskObjectnessBranch(nn.Module):
    """DeepMask's score branch, slid over the features.

    Of a window: 2x2 max-pooling, a linear layer to ``width``, ReLU, a linear layer to
    ``score_width``, ReLU and one to the score. Slid by one cell, the pooling has stride 1 and the
    first linear layer is a convolution of dilation 2, which gives every window the same value.

    Args:
        in_width: channels of the features.
        width: channels of the first convolution; 512 in the paper.
        score_width: channels of the hidden layer before the score; 1024 in the paper.
        cells: m, cells along a side of a window, even.
    """

    def __init__(self, in_width: int, width: int, score_width: int, cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.hidden = nn.Conv2d(in_width, width, cells // POOL, dilation=POOL)
        self.second = nn.Conv2d(width, score_width, 1)
        self.score = nn.Conv2d(score_width, 1, 1)
        init_gaussian(self)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, in_width, h, w) -> (B, 1, h, w) logits; cells outside of the features count as 0."""
        before, after = self.cells // 2, self.cells - self.cells // 2 - 1
        padded = nn.functional.pad(features, (before, after, before, after))
        pooled = nn.functional.max_pool2d(padded, POOL, stride=1)
        return self.score(torch.relu(self.second(torch.relu(self.hidden(pooled)))))


def init_gaussian(module: nn.Module) -> None:
    """Weights from Gaussian(0, 0.01), biases 0, as the paper's extra layers."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=INIT_STD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
