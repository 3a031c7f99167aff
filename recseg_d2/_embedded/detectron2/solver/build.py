"""Optimiser and scheduler from the config. May use: torch, fvcore."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
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

__all__ = [
    "build_lr_scheduler",
    "build_optimizer",
    "get_default_optimizer_params",
]

logger = logging.getLogger(__name__)

_NORM_LAYERS = (
    nn.modules.batchnorm._BatchNorm,  # 1d, 2d, 3d and synchronised
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
)
_NOT_SETTINGS = ("params", "param_names")


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
        foreach=True,
    )
    return maybe_add_gradient_clipping(cfg, optimizer)


def maybe_add_gradient_clipping(cfg: Any, optimizer: Any) -> Any:
    """Clip each parameter's gradient before a step, if ``cfg.SOLVER.CLIP_GRADIENTS`` says so.

    Args:
        cfg: the config; CLIP_TYPE is "value" or "norm".
        optimizer: an optimiser, changed in place, or a class of them, which gets a subclass.

    Returns:
        The same, or the subclass.
    """
    settings = cfg.SOLVER.CLIP_GRADIENTS
    if not settings.ENABLED:
        return optimizer
    clip = _make_clipper(settings.CLIP_TYPE, settings.CLIP_VALUE, settings.NORM_TYPE)
    base: Any = optimizer if isinstance(optimizer, type) else type(optimizer)

    def step(self: Any, closure: Callable | None = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                clip(parameter)
        return base.step(self, closure)

    clipping = type(f"{base.__name__}WithGradientClip", (base,), {"step": step})
    if isinstance(optimizer, type):
        return clipping
    optimizer.__class__ = clipping
    return optimizer


def _make_clipper(clip_type: str, value: float, norm_type: float) -> Callable[[Any], Any]:
    if clip_type == "value":
        return lambda parameter: nn.utils.clip_grad_value_(parameter, value)
    if clip_type == "norm":
        return lambda parameter: nn.utils.clip_grad_norm_(parameter, value, norm_type)
    raise ValueError(f"SOLVER.CLIP_GRADIENTS.CLIP_TYPE={clip_type!r}: expected value or norm.")


def get_default_optimizer_params(
    model: nn.Module,
    base_lr: float | None = None,
    weight_decay: float | None = None,
    weight_decay_norm: float | None = None,
    bias_lr_factor: float | None = 1.0,
    weight_decay_bias: float | None = None,
    lr_factor_func: Callable[[str], float] | None = None,
    overrides: dict[str, dict[str, float]] | None = None,
) -> list[dict[str, Any]]:
    """Parameter groups of what is to be trained, as few as possible.

    Args:
        model: parameters that need no gradient are left out.
        base_lr: learning rate; None leaves it to the optimiser.
        weight_decay: for all; None leaves it to the optimiser.
        weight_decay_norm: for normalisation layers.
        bias_lr_factor: multiplies the learning rate of every "bias"; needs ``base_lr``.
        weight_decay_bias: for every "bias".
        lr_factor_func: full name of a parameter to what its learning rate is multiplied with;
            needs ``base_lr``.
        overrides: last part of a parameter's name to settings for it.
    """
    bias = _given(weight_decay=weight_decay_bias)
    if bias_lr_factor not in (None, 1.0):
        bias["lr"] = _require(base_lr, "bias_lr_factor") * bias_lr_factor
    if lr_factor_func is not None:
        _require(base_lr, "lr_factor_func")
    overrides = dict(overrides or {})
    if bias and "bias" in overrides:
        raise ValueError("Conflicting overrides for 'bias'.")
    if bias:
        overrides["bias"] = bias
    params, seen = [], set()
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
            settings.update(overrides.get(name, {}))
            params.append({"params": [parameter], **settings})
    return reduce_param_groups(params)


def _require(base_lr: float | None, option: str) -> Any:
    if base_lr is None:
        raise ValueError(f"{option} requires base_lr.")
    return base_lr


def _given(**settings: Any) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def reduce_param_groups(params: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join groups of equal settings, which is faster; later settings of a parameter win."""
    groups: dict[tuple, dict[str, Any]] = {}
    for item in _expand_param_groups(params):
        settings = {key: value for key, value in item.items() if key not in _NOT_SETTINGS}
        group = groups.setdefault(tuple(settings.items()), settings)
        for key in _NOT_SETTINGS:
            if key in item:
                group.setdefault(key, []).extend(item[key])
    return list(groups.values())


def _expand_param_groups(params: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One group per parameter."""
    expanded: dict[Any, dict[str, Any]] = defaultdict(dict)
    for item in params:
        settings = {key: value for key, value in item.items() if key not in _NOT_SETTINGS}
        for index, parameter in enumerate(item["params"]):
            if "param_names" in item:
                expanded[parameter]["param_names"] = [item["param_names"][index]]
            expanded[parameter].update(params=[parameter], **settings)
    return list(expanded.values())


def build_lr_scheduler(cfg: Any, optimizer: torch.optim.Optimizer) -> LRScheduler:
    """Warm-up, and then ``cfg.SOLVER.LR_SCHEDULER_NAME``.

    Raises:
        ValueError: the name is none of WarmupMultiStepLR, WarmupCosineLR and
            WarmupStepWithFixedGammaLR.
    """
    solver = cfg.SOLVER
    if solver.LR_SCHEDULER_NAME not in _SCHEDULES:
        raise ValueError(
            f"Unknown LR scheduler: SOLVER.LR_SCHEDULER_NAME={solver.LR_SCHEDULER_NAME!r}; "
            f"expected one of {', '.join(_SCHEDULES)}."
        )
    schedule = WarmupParamScheduler(
        _SCHEDULES[solver.LR_SCHEDULER_NAME](solver),
        solver.WARMUP_FACTOR,
        min(solver.WARMUP_ITERS / solver.MAX_ITER, 1.0),
        solver.WARMUP_METHOD,
        solver.RESCALE_INTERVAL,
    )
    return LRMultiplier(optimizer, multiplier=schedule, max_iter=solver.MAX_ITER)


def _make_multi_step(solver: Any) -> ParamScheduler:
    steps = [step for step in solver.STEPS if step <= solver.MAX_ITER]
    if len(steps) != len(solver.STEPS):
        logger.warning(
            "SOLVER.STEPS=%s contains values larger than SOLVER.MAX_ITER=%d, which are ignored.",
            solver.STEPS,
            solver.MAX_ITER,
        )
    values = [solver.GAMMA**k for k in range(len(steps) + 1)]
    return MultiStepParamScheduler(values, milestones=steps, num_updates=solver.MAX_ITER)


def _make_cosine(solver: Any) -> ParamScheduler:
    end = solver.BASE_LR_END / solver.BASE_LR
    assert 0.0 <= end <= 1.0, "SOLVER.BASE_LR_END must lie between 0 and SOLVER.BASE_LR."
    return CosineParamScheduler(1, end)


def _make_fixed_gamma(solver: Any) -> ParamScheduler:
    return StepWithFixedGammaParamScheduler(
        base_value=1.0,
        gamma=solver.GAMMA,
        num_decays=solver.NUM_DECAYS,
        num_updates=solver.MAX_ITER,
    )


_SCHEDULES: dict[str, Callable[[Any], ParamScheduler]] = {
    "WarmupMultiStepLR": _make_multi_step,
    "WarmupCosineLR": _make_cosine,
    "WarmupStepWithFixedGammaLR": _make_fixed_gamma,
}
