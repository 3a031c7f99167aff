"""Norms of recurrent networks, which are told the step.

Source: the public code of Ren & Zemel 2017, which makes a batch norm for each unrolled step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.layers.recompute import is_recomputing

EPS, MOMENTUM = 1e-3, 0.1  # the public code's; its moving average keeps 0.9
GROUPS = 8  # of group norm

Norm = Literal["per_step", "shared", "group"]
MakeNorm = Callable[[int], nn.Module]  # from channels to a module called with (x, step)


def norm_maker(kind: Norm, steps: int) -> MakeNorm:
    """How to make the norms of a network.

    Args:
        kind: "per_step": batch norm with statistics of each step; "shared": of all steps together,
            which the steps of one image rarely follow, so that evaluation differs from training;
            "group": group norm, which has no statistics and does not depend on the batch.
        steps: number of steps that are run at most.
    """
    if kind == "group":
        return StepGroupNorm
    return partial(StepBatchNorm2d, steps=steps if kind == "per_step" else 1)


def fixed_affine(norm: nn.Module, step: int = 0) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The scale and shift, (width,) each, that a batch norm in evaluation is.

    The convolution before it can take them over: ``scale (W * x) + shift`` is
    ``(scale W) * x + shift``.

    Args:
        norm: what ``norm_maker`` made, or PyTorch's batch norm.
        step: number of the step, from 0.

    Returns:
        None where the norm depends on its input: in training, and of group norm.
    """
    if norm.training or not isinstance(norm, nn.BatchNorm2d):
        return None
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    shift = norm.bias - mean * scale
    if not isinstance(norm, StepBatchNorm2d):
        return scale, shift
    own = min(step, norm.steps - 1)
    return scale[own], shift[own]


class StepGroupNorm(nn.GroupNorm):
    """Group norm that is the same at every step.

    Args:
        width: channels; they are parted into 8 groups, or as many as divide both.
    """

    def __init__(self, width: int) -> None:
        super().__init__(math.gcd(GROUPS, width), width)

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Normalise (B, width, h, w)."""
        return super().forward(x)


class StepBatchNorm2d(nn.BatchNorm2d):
    """Batch norm of a recurrent network: step t has the t-th scale, shift and statistics.

    The parameters of all steps are one tensor, so that all get a gradient (of zero) where only some
    of the steps were run, as distributed training needs it.

    Args:
        width: number of channels.
        steps: sets of parameters and statistics; with 1, all steps share them. Steps beyond the
            last set use that.
    """

    def __init__(self, width: int, steps: int = 1) -> None:
        super().__init__(width, eps=EPS, momentum=MOMENTUM)
        self.steps = steps
        self.weight = nn.Parameter(torch.ones(steps, width))
        self.bias = nn.Parameter(torch.zeros(steps, width))
        self.running_mean = torch.zeros(steps, width)
        self.running_var = torch.ones(steps, width)

    def forward(self, x: torch.Tensor, step: int = 0) -> torch.Tensor:
        """Normalise (B, width, h, w) of the given step."""
        own = min(step, self.steps - 1)
        assert self.running_mean is not None
        assert self.running_var is not None
        statistics = self.running_mean[own], self.running_var[own]
        weight, bias = self.weight[own], self.bias[own]
        if not self.training:
            return F.batch_norm(x, *statistics, weight, bias, eps=EPS)
        if is_recomputing():  # they have moved already
            statistics = statistics[0].clone(), statistics[1].clone()
        return self.normalise(x, *statistics, weight, bias, MOMENTUM, EPS)

    @staticmethod
    def normalise(
        x: torch.Tensor,
        running_mean: torch.Tensor,
        running_var: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        momentum: float,
        eps: float,
    ) -> torch.Tensor:
        """Normalise by the batch's own statistics, which the running ones move towards."""
        return F.batch_norm(x, running_mean, running_var, weight, bias, True, momentum, eps)

    def extra_repr(self) -> str:
        """Number of channels and of steps, as ``print(model)`` shows them."""
        return f"{self.num_features}, steps={self.steps}"
