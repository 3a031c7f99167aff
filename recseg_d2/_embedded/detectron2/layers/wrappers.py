"""torch's operations with Detectron2's additions. May use: torch only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """``torch.cat`` that copies nothing where there is one tensor only."""
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), dim)


def nonzero_tuple(x: Tensor) -> tuple[Tensor, ...]:
    """Indices of the elements that are not zero, one vector a dimension."""
    return x.nonzero(as_tuple=True)


class Conv2d(torch.nn.Conv2d):
    """Convolution, then ``norm`` (a module), then ``activation`` (any callable); both optional."""

    def __init__(self, *args: Any, norm: Any = None, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.norm = norm
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        if self.norm is not None:
            x = self.norm(x)
        if self.activation is not None:
            x = self.activation(x)
        return x
