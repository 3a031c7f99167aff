"""Optimiser and scheduler from the config."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from fvcore.common.param_scheduler import (
    CosineParamScheduler,
    MultiStepParamScheduler,
    ParamScheduler,
    StepWithFixedGammaParamScheduler,
)
from torch import nn

from .lr_scheduler import LRMultiplier, LRScheduler, WarmupParamScheduler

__all__ = ["build_lr_scheduler", "build_optimizer", "get_default_optimizer_params"]

logger = logging.getLogger(__name__)

_NORM_LAYERS = (
    nn.modules.batchnorm._BatchNorm,  # 1d, 2d, 3d and synchronised
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
)


def build_optimizer(cfg: Any, model: nn.Module) -> torch.optim.Optimizer:
    """SGD as ``cfg.SOLVER`` says."""
    solver = cfg.SOLVER
    params = get_default_optimizer_params(
        model,
        base_lr=solver.BASE_LR,
        weight_decay_norm=solver.WEIGHT_DECAY_NORM,
        bias_lr_factor=solver.BIAS_LR_FACTOR,
        weight_decay_bias=solver.WEIGHT_DECAY_BIAS,
    )
    optimizer = torch.optim.SGD(
        params,
        lr=solver.BASE_LR,
        momentum=solver.MOMENTUM,
        nesterov=solver.NESTEROV,
        weight_decay=solver.WEIGHT_DECAY,
    )
    return maybe_add_gradient_clipping(cfg, optimizer)


def maybe_add_gradient_clipping(cfg: Any, optimizer: Any) -> Any:
    """Clip each parameter's gradient before a step, if ``cfg.SOLVER.CLIP_GRADIENTS`` says so.

    Takes an optimiser, and returns it changed, or a class of them, and returns a subclass.

    Raises:
        ValueError: CLIP_TYPE is neither "value" nor "norm".
    """
    settings = cfg.SOLVER.CLIP_GRADIENTS
    if not settings.ENABLED:
        return optimizer
    if settings.CLIP_TYPE not in ("value", "norm"):
        found = settings.CLIP_TYPE
        raise ValueError(f"SOLVER.CLIP_GRADIENTS.CLIP_TYPE={found!r}: expected value or norm.")
    base: Any = optimizer if isinstance(optimizer, type) else type(optimizer)

    def step(self: Any, closure: Callable | None = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                if settings.CLIP_TYPE == "value":
                    nn.utils.clip_grad_value_(parameter, settings.CLIP_VALUE)
                else:
                    nn.utils.clip_grad_norm_(parameter, settings.CLIP_VALUE, settings.NORM_TYPE)
        return base.step(self, closure)

    clipping = type(f"{base.__name__}WithGradientClip", (base,), {"step": step})
    if isinstance(optimizer, type):
        return clipping
    optimizer.__class__ = clipping
    return optimizer


def get_default_optimizer_params(
    model: nn.Module,
    base_lr: float | None = None,
    weight_decay: float | None = None,
    weight_decay_norm: float | None = None,
    bias_lr_factor: float | None = 1.0,
    weight_decay_bias: float | None = None,
    lr_factor_func: Callable[[str], float] | None = None,
) -> list[dict[str, Any]]:
    """Parameter groups of what is to be trained, one for each combination of settings.

    Args:
        model: parameters that need no gradient are left out.
        base_lr: learning rate; None leaves it to the optimiser.
        weight_decay: for all; None leaves it to the optimiser.
        weight_decay_norm: for normalisation layers.
        bias_lr_factor: multiplies the learning rate of every "bias"; needs ``base_lr``.
        weight_decay_bias: for every "bias".
        lr_factor_func: full name of a parameter to what its learning rate is multiplied with;
            needs ``base_lr``.
    """
    bias_rate = None
    if lr_factor_func is not None or bias_lr_factor not in (None, 1.0):
        if base_lr is None:
            raise ValueError("bias_lr_factor and lr_factor_func require base_lr.")
        bias_rate = None if bias_lr_factor in (None, 1.0) else base_lr * bias_lr_factor
    groups: dict[tuple, dict[str, Any]] = {}
    seen = set()
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter in seen:
                continue
            seen.add(parameter)
            settings = _given(lr=base_lr, weight_decay=weight_decay)
            if isinstance(module, _NORM_LAYERS):
                settings.update(_given(weight_decay=weight_decay_norm))
            if lr_factor_func is not None:
                settings["lr"] *= lr_factor_func(f"{module_name}.{name}")
            if name == "bias":
                settings.update(_given(lr=bias_rate, weight_decay=weight_decay_bias))
            group = groups.setdefault(tuple(settings.items()), {"params": [], **settings})
            group["params"].append(parameter)
    return list(groups.values())


def _given(**settings: Any) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def build_lr_scheduler(cfg: Any, optimizer: torch.optim.Optimizer) -> LRScheduler:
    """Warm-up, and then ``cfg.SOLVER.LR_SCHEDULER_NAME``."""
    solver = cfg.SOLVER
    schedule = WarmupParamScheduler(
        _make_schedule(solver),
        solver.WARMUP_FACTOR,
        min(solver.WARMUP_ITERS / solver.MAX_ITER, 1.0),
        solver.WARMUP_METHOD,
        solver.RESCALE_INTERVAL,
    )
    return LRMultiplier(optimizer, multiplier=schedule, max_iter=solver.MAX_ITER)


def _make_schedule(solver: Any) -> ParamScheduler:
    """What follows the warm-up, as multiples of the first learning rate."""
    name, max_iter = solver.LR_SCHEDULER_NAME, solver.MAX_ITER
    if name == "WarmupMultiStepLR":
        steps = [step for step in solver.STEPS if step <= max_iter]
        if len(steps) != len(solver.STEPS):
            logger.warning("SOLVER.STEPS %s above MAX_ITER %d are ignored", solver.STEPS, max_iter)
        values = [solver.GAMMA**k for k in range(len(steps) + 1)]
        return MultiStepParamScheduler(values, milestones=steps, num_updates=max_iter)
    if name == "WarmupCosineLR":
        end = solver.BASE_LR_END / solver.BASE_LR
        assert 0.0 <= end <= 1.0, "SOLVER.BASE_LR_END must lie between 0 and SOLVER.BASE_LR."
        return CosineParamScheduler(1, end)
    if name == "WarmupStepWithFixedGammaLR":
        return StepWithFixedGammaParamScheduler(1.0, solver.NUM_DECAYS, solver.GAMMA, max_iter)
    raise ValueError(
        f"Unknown LR scheduler: SOLVER.LR_SCHEDULER_NAME={name!r}; expected WarmupMultiStepLR, "
        "WarmupCosineLR or WarmupStepWithFixedGammaLR."
    )
