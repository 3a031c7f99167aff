"""Norms of recurrent networks, which are told the step.

Source: the public code of Ren & Zemel 2017, which makes a batch norm for each unrolled step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

EPS, MOMENTUM = 1e-3, 0.1  # the public code's; its moving average keeps 0.9
GROUPS = 8  # of group norm
NORMS = ("per_step", "shared", "group")

MakeNorm = Callable[[int], nn.Module]  # from channels to a module called with (x, step)


def norm_maker(kind: str, steps: int) -> MakeNorm:
    """How to make the norms of a network.

    Args:
        kind: "per_step": batch norm with statistics of each step; "shared": of all steps together,
            which the steps of one image rarely follow, so that evaluation differs from training;
            "group": group norm, which has no statistics and does not depend on the batch.
        steps: most steps that are run.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in NORMS:
        raise ValueError(f"Found norm {kind!r}; expected one of {NORMS} (MODEL.RIS.NORM).")
    if kind == "group":
        return StepGroupNorm
    return partial(StepBatchNorm2d, steps=steps if kind == "per_step" else 1)


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
        width: channels.
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
        return F.batch_norm(
            x,
            self.running_mean[own],
            self.running_var[own],
            self.weight[own],
            self.bias[own],
            training=self.training,
            momentum=MOMENTUM,
            eps=EPS,
        )

    def extra_repr(self) -> str:
        """For ``print(model)``."""
        return f"{self.num_features}, steps={self.steps}"
