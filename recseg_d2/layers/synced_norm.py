"""Batch norm over the batch of all processes, on any device.

PyTorch's own works on GPUs only. Source: Peng et al. 2018, "MegDet", section 3.3.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn
from torch.autograd import Function

from recseg_d2.layers.step_norm import StepBatchNorm2d


class _SumOverProcesses(Function):
    """A sum whose gradient is summed as well: what one process adds, all others see."""

    @staticmethod
    def forward(context: object, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: object, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def batch_norm_of_all(
    x: torch.Tensor,
    running_mean: torch.Tensor,
    running_var: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    momentum: float,
    eps: float,
) -> torch.Tensor:
    """``F.batch_norm`` in training, with mean and variance over the images of all processes.

    Args:
        x: (B, C, h, w); B may differ between processes.
        running_mean: (C,), running mean of each channel, which is updated in place.
        running_var: (C,), running unbiased variance of each channel, which is updated in place.
        weight: (C,), factor of each channel.
        bias: (C,), what is added to each channel.
        momentum: share that the new statistics have in the running ones, in [0, 1].
        eps: what is added to the variance.

    Returns:
        (B, C, h, w), of the type of ``x``.
    """
    values = x.float()
    count = values.new_tensor([x.numel() / x.shape[1]])
    total = _SumOverProcesses.apply(torch.cat([values.sum((0, 2, 3)), count]))
    number = total[-1]
    mean = total[:-1] / number
    centred = values - mean[:, None, None]
    variance = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / number
    with torch.no_grad():
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        unbiased = variance * number / (number - 1).clamp(min=1)
        running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    scale = weight * torch.rsqrt(variance + eps)
    return (centred * scale[:, None, None] + bias[:, None, None]).to(x.dtype)


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose training statistics are those of all processes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (B, C, h, w)."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = 0.1 if self.momentum is None else self.momentum
        return batch_norm_of_all(
            x, self.running_mean, self.running_var, self.weight, self.bias, momentum, self.eps
        )


class SyncedStepBatchNorm2d(StepBatchNorm2d):
    """The same of a recurrent network's norm."""

    normalise = staticmethod(batch_norm_of_all)


def longest_of_all(model: nn.Module, steps: int) -> int:
    """The most steps that any process takes, where steps have norms over the batch of all.

    A process that took fewer would let the others wait for its statistics for ever.

    Args:
        model: the model, the same in all processes.
        steps: as many as this process's images need.
    """
    if not (model.training and dist.is_initialized()):
        return steps
    if not any(isinstance(module, SyncedStepBatchNorm2d) for module in model.modules()):
        return steps
    found: list[int] = [0] * dist.get_world_size()
    dist.all_gather_object(found, steps)
    return max(found)


def synchronise_batch_norms(model: nn.Module) -> None:
    """Have every batch norm of a model use the images of all processes, in place.

    Names and values of parameters and statistics stay as they are.
    """
    replacements = {nn.BatchNorm2d: SyncedBatchNorm2d, StepBatchNorm2d: SyncedStepBatchNorm2d}
    for module in model.modules():
        module.__class__ = replacements.get(type(module), type(module))
