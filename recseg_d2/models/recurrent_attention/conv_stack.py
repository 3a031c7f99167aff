"""Convolutions with norms of each step, the layers of both networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.layers.step_norm import MakeNorm, fixed_affine


class ConvStep(nn.Module):
    """3x3 convolution, batch norm, ReLU and max-pooling of one layer (tables 7 and 9).

    The norm makes the convolution's bias superfluous. Pooling counts the odd pixels at the border
    in, so that every image size works.

    Args:
        in_width: number of input channels.
        width: number of output channels.
        pool: side of the max-pooling in cells; 1 is none.
        make_norm: function that makes a norm for a number of channels; the norm is called with the
            step.
    """

    def __init__(self, in_width: int, width: int, pool: int, make_norm: MakeNorm) -> None:
        super().__init__()
        self.pool = pool
        self.conv = nn.Conv2d(in_width, width, 3, padding=1, bias=False)
        self.norm = make_norm(width)

    def forward(self, x: torch.Tensor, step: int) -> torch.Tensor:
        """(B, in_width, h, w) -> (B, width, ceil(h / pool), ceil(w / pool))."""
        affine = fixed_affine(self.norm, step)
        if affine is None:
            return self.finish(self.norm(self.conv(x), step))
        scale, shift = affine
        weight = self.conv.weight * scale[:, None, None, None]
        return self.finish(F.conv2d(x, weight, shift, padding=1))

    def finish(self, x: torch.Tensor) -> torch.Tensor:
        """What follows the norm; ReLU keeps the order, so that it may come after the pooling."""
        if self.pool > 1:
            x = F.max_pool2d(x, self.pool, ceil_mode=True)
        return F.relu(x, inplace=True)


class DeconvStep(nn.Module):
    """3x3 transposed convolution, and batch norm and ReLU (table 9).

    Args:
        in_width: number of input channels.
        width: number of output channels.
        stride: 1, or the factor of the upsampling.
        make_norm: function that makes a norm for a number of channels; the norm is called with the
            step.
        linear: whether norm and ReLU are left out.
    """

    def __init__(
        self, in_width: int, width: int, stride: int, make_norm: MakeNorm, linear: bool = False
    ) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(
            in_width, width, 3, stride, padding=1, output_padding=stride - 1, bias=linear
        )
        self.norm = None if linear else make_norm(width)

    def forward(self, x: torch.Tensor, step: int) -> torch.Tensor:
        """(B, in_width, h, w) -> (B, width, stride * h, stride * w)."""
        if self.norm is None:
            return self.deconv(x)
        affine = fixed_affine(self.norm, step)
        if affine is None:
            return F.relu(self.norm(self.deconv(x), step), inplace=True)
        scale, shift = affine
        weight = self.deconv.weight * scale[:, None, None]
        more = self.deconv.output_padding
        x = F.conv_transpose2d(x, weight, shift, self.deconv.stride, 1, more)
        return F.relu(x, inplace=True)


class SplitInputConv(nn.Module):
    """A stack of ``ConvStep`` whose input is in part the same at every step.

    A convolution is linear, so the first one's part over those channels is computed once an image:
    ``W * [s, c] = W_s * s + W_c * c``.

    Args:
        static_width: channels that all steps share.
        changing_width: channels that change from step to step; may be 0.
        widths: output channels of each layer.
        pools: side of the max-pooling after each layer in cells; 1 is none.
        make_norm: function that makes a norm for a number of channels; the norm is called with the
            step.
    """

    def __init__(
        self,
        static_width: int,
        changing_width: int,
        widths: Sequence[int],
        pools: Sequence[int],
        make_norm: MakeNorm,
    ) -> None:
        super().__init__()
        self.static_width = static_width
        before = [static_width + changing_width, *widths[:-1]]
        self.layers = nn.ModuleList(
            ConvStep(b, w, p, make_norm) for b, w, p in zip(before, widths, pools, strict=True)
        )

    def prepare(self, static: torch.Tensor) -> torch.Tensor:
        """The first convolution of (B, static_width, H, W), to be given to each step."""
        weight = self._first().conv.weight[:, : self.static_width]
        return F.conv2d(static, weight, padding=1)

    def forward(
        self, prepared: torch.Tensor, changing: torch.Tensor | None, step: int
    ) -> torch.Tensor:
        """Run the stack on one step's input.

        Args:
            prepared: what ``prepare`` made of the static channels.
            changing: (B, changing_width, H, W); None where that is 0.
            step: number of the step, from 0.
        """
        x = self._first().finish(self._first_normed(prepared, changing, step))
        for layer in self.layers[1:]:
            x = layer(x, step)
        return x

    def _first_normed(
        self, prepared: torch.Tensor, changing: torch.Tensor | None, step: int
    ) -> torch.Tensor:
        """The first convolution and norm."""
        first = self._first()
        weight = first.conv.weight[:, self.static_width :]
        affine = fixed_affine(first.norm, step)
        if changing is None or affine is None:
            # in place, here and below: new memory for the largest maps costs more than the sums
            x = (
                prepared
                if changing is None
                else F.conv2d(changing, weight, padding=1).add_(prepared)
            )
            return first.norm(x, step)
        scale, shift = affine
        own = F.conv2d(changing, weight * scale[:, None, None, None], shift, padding=1)
        return own.addcmul_(prepared, scale[:, None, None].to(own.dtype))

    def _first(self) -> ConvStep:
        layer = self.layers[0]
        assert isinstance(layer, ConvStep)
        return layer


def pooled_size(size: tuple[int, int], pools: Sequence[int]) -> tuple[int, int]:
    """Height and width after pooling with each factor, rounded up each time."""
    height, width = size
    for pool in pools:
        height, width = -(-height // pool), -(-width // pool)
    return height, width


def draw_weights(module: nn.Module, std: float) -> None:
    """Truncated normal weights and biases, as the public code; LSTM forget gates start at 1.

    Args:
        module: a network, of which every convolution, linear layer and LSTM cell is redrawn.
        std: standard deviation; 0 keeps PyTorch's own, the forget gates excepted.
    """
    for part in module.modules():
        if isinstance(part, nn.LSTMCell):
            _draw_lstm(part, std)
        elif std and isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            for parameter in part.parameters(recurse=False):
                nn.init.trunc_normal_(parameter, std=std, a=-2 * std, b=2 * std)


def _draw_lstm(cell: nn.LSTMCell, std: float) -> None:
    if std:
        for weight in (cell.weight_ih, cell.weight_hh):
            nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
    with torch.no_grad():
        cell.bias_hh.zero_()
        cell.bias_ih.zero_()
        cell.bias_ih[cell.hidden_size : 2 * cell.hidden_size] = 1.0  # gates: in, forget, cell, out
