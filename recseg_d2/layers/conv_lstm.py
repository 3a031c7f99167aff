"""Convolutional LSTM cell that computes once what does not change over the steps.

Source: Shi et al. 2015 as used by Salvador et al. 2017 (RSIS), eq. 1 and 2.

Shape letters: B images, X channels of the input that changes at each step, S channels of the input
that does not, D hidden channels, h w the level's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

State = tuple[torch.Tensor, torch.Tensor]  # hidden and cell, each (B, D, h, w)


@dataclass
class CellInputs:
    """What a cell needs at every step of one sequence, made once by ``ConvLSTMCell.prepare``.

    Attributes:
        static_gates: (B or 1, 4D, h or 1, w or 1), the static input's part of all gates, bias in.
        weight: (4D, X + D, k, k), the weight of what changes, contiguous.
    """

    static_gates: torch.Tensor
    weight: torch.Tensor

    def first(self, images: int) -> CellInputs:
        """Those of the first images of the batch only."""
        return CellInputs(self.static_gates[:images], self.weight)


class ConvLSTMCell(nn.Module):
    """One k x k convolution makes all four gates (input, forget, output, candidate).

    The convolution is linear, so its part over an input that is the same at every step can be
    taken out of the step loop: ``gates([x, h, s]) = W_xh * [x, h] + (W_s * s + b)``.

    Args:
        changing_width: X, channels of the input of each step; 0 where there is none.
        static_width: S, channels of the input that all steps share; 0 where there is none.
        hidden_width: D, channels of the hidden state and of the cell state.
        forget_bias: added to the forget gates' initial bias; the paper has 0.
        kernel_size: k, side of the convolution's kernel in cells, odd.
    """

    def __init__(
        self,
        changing_width: int,
        static_width: int,
        hidden_width: int,
        forget_bias: float,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        self.changing_width = changing_width
        self.static_width = static_width
        self.hidden_width = hidden_width
        total = changing_width + hidden_width + static_width
        self.gates = nn.Conv2d(total, 4 * hidden_width, kernel_size, padding=kernel_size // 2)
        with torch.no_grad():
            assert self.gates.bias is not None
            self.gates.bias[hidden_width : 2 * hidden_width] += forget_bias

    def prepare(self, static: torch.Tensor | None) -> CellInputs:
        """Do the work that all steps share.

        Args:
            static: (B, S, h, w), or None where S is 0.
        """
        split = self.changing_width + self.hidden_width
        weight, bias = self.gates.weight, self.gates.bias
        changing = weight[:, :split].contiguous(memory_format=torch.channels_last)
        if static is None:
            assert bias is not None
            return CellInputs(bias.view(1, -1, 1, 1), changing)
        gates = F.conv2d(static, weight[:, split:], bias, padding=self.gates.padding)
        return CellInputs(gates, changing)

    def changing_gates(self, x: torch.Tensor) -> torch.Tensor:
        """The gates' part over an input (B, X, h, w) alone, without bias: (B, 4D, h, w)."""
        weight = self.gates.weight[:, : self.changing_width]
        return F.conv2d(x, weight, padding=self.gates.padding)

    def forward(self, x: torch.Tensor | None, state: State, inputs: CellInputs) -> State:
        """One step.

        Args:
            x: (B, X, h, w), or None where X is 0.
            state: hidden and cell of the step before, each (B, D, h, w).
            inputs: what ``prepare`` made of the input.

        Returns:
            Hidden and cell of this step.
        """
        hidden, cell = state
        changing = hidden if x is None else torch.cat([x, hidden], dim=1)
        gates = F.conv2d(changing, inputs.weight, padding=self.gates.padding)
        gates = gates + inputs.static_gates
        width = self.hidden_width
        let_in, forget, let_out = torch.sigmoid(gates[:, : 3 * width]).chunk(3, dim=1)
        cell = forget * cell + let_in * torch.tanh(gates[:, 3 * width :])
        return let_out * torch.tanh(cell), cell

    def initial_state(self, batch: int, size: tuple[int, int], like: torch.Tensor) -> State:
        """Zero hidden and cell of (batch, D, *size), on the device and of the type of ``like``."""
        zeros = like.new_zeros(batch, self.hidden_width, *size)
        zeros = zeros.contiguous(memory_format=torch.channels_last)
        return zeros, zeros
