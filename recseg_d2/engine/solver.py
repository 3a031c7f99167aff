"""Optimisers and learning-rate schedules beyond Detectron2's."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.solver import LRMultiplier
from detectron2.solver import build_lr_scheduler as build_detectron2_lr_scheduler
from detectron2.solver.build import get_default_optimizer_params, maybe_add_gradient_clipping
from detectron2.solver.lr_scheduler import WarmupParamScheduler
from fvcore.common.param_scheduler import (
    CompositeParamScheduler,
    ConstantParamScheduler,
    CosineParamScheduler,
    LinearParamScheduler,
    ParamScheduler,
    StepWithFixedGammaParamScheduler,
)

from recseg_d2.errors import UserError

OPTIMIZERS = ("SGD", "ADAM", "ADAMW")
SCHEDULERS = (
    "WarmupFlatCosineLR",
    "WarmupMultiStepLR",
    "WarmupCosineLR",
    "WarmupStepWithFixedGammaLR",
)


def build_optimizer(cfg: CfgNode, model: torch.nn.Module) -> torch.optim.Optimizer:
    """SOLVER.OPTIMIZER over the trainable parameters.

    Weight decay of norms and biases and the clip types "value" and "norm" are Detectron2's;
    "full_model" clips the norm of all gradients together.

    Raises:
        UserError: an unknown SOLVER.OPTIMIZER, or nothing left to train.
    """
    solver = cfg.SOLVER
    if solver.OPTIMIZER not in OPTIMIZERS:
        raise UserError(f"SOLVER.OPTIMIZER is {solver.OPTIMIZER!r}: expected one of {OPTIMIZERS}.")
    if not any(p.requires_grad for p in model.parameters()):
        raise UserError(f"SOLVER.TRAINABLE {list(solver.TRAINABLE)} leaves nothing to train.")
    groups = get_default_optimizer_params(
        model,
        base_lr=solver.BASE_LR,
        weight_decay=solver.WEIGHT_DECAY,
        weight_decay_norm=solver.WEIGHT_DECAY_NORM,
        bias_lr_factor=solver.BIAS_LR_FACTOR,
        weight_decay_bias=solver.WEIGHT_DECAY_BIAS,
        lr_factor_func=lambda name: (
            solver.BACKBONE_MULTIPLIER if "backbone" in name.split(".") else 1.0
        ),
    )
    return _optimizer_class(cfg)(groups, **_optimizer_arguments(cfg))


def _optimizer_class(cfg: CfgNode) -> Any:
    names = {"SGD": torch.optim.SGD, "ADAM": torch.optim.Adam, "ADAMW": torch.optim.AdamW}
    chosen, clip = names[cfg.SOLVER.OPTIMIZER], cfg.SOLVER.CLIP_GRADIENTS
    if clip.ENABLED and clip.CLIP_TYPE == "full_model":
        return _with_full_model_clipping(chosen, clip.CLIP_VALUE, clip.NORM_TYPE)
    return maybe_add_gradient_clipping(cfg, chosen)


def _optimizer_arguments(cfg: CfgNode) -> dict[str, Any]:
    arguments: dict[str, Any] = {"lr": cfg.SOLVER.BASE_LR, "fused": True}
    if cfg.SOLVER.OPTIMIZER == "SGD":
        arguments.update(momentum=cfg.SOLVER.MOMENTUM, nesterov=cfg.SOLVER.NESTEROV)
    return arguments


def _with_full_model_clipping(base: Any, max_norm: float, norm_type: float) -> type:
    """A subclass of an optimiser that clips the norm of all gradients before each step."""

    def step(self: Any, closure: Any = None) -> Any:
        parameters = itertools.chain(*(group["params"] for group in self.param_groups))
        torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type=norm_type)
        return base.step(self, closure)

    return type(f"{base.__name__}WithFullModelClipping", (base,), {"step": step})


def build_lr_scheduler(
    cfg: CfgNode, optimizer: torch.optim.Optimizer
) -> torch.optim.lr_scheduler.LRScheduler:
    """SOLVER.LR_SCHEDULER_NAME: Detectron2's, or WarmupFlatCosineLR.

    WarmupStepWithFixedGammaLR is Detectron2's up to the last iteration, after which that one has
    no value and fails.

    WarmupFlatCosineLR: linear warm-up over WARMUP_ITERS, flat up to FLAT_FRACTION of MAX_ITER, then
    a half cosine down to BASE_LR_END.

    Raises:
        UserError: an unknown SOLVER.LR_SCHEDULER_NAME.
    """
    name = cfg.SOLVER.LR_SCHEDULER_NAME
    if name not in SCHEDULERS:
        raise UserError(f"SOLVER.LR_SCHEDULER_NAME is {name!r}: expected one of {SCHEDULERS}.")
    if name == "WarmupFlatCosineLR":
        return LRMultiplier(optimizer, _flat_cosine(cfg), cfg.SOLVER.MAX_ITER)
    if name == "WarmupStepWithFixedGammaLR":
        return LRMultiplier(optimizer, _fixed_gamma(cfg), cfg.SOLVER.MAX_ITER)
    return build_detectron2_lr_scheduler(cfg, optimizer)


class _UpToTheEnd(ParamScheduler):
    """A schedule that has a value at its very end too: that of its last iteration."""

    def __init__(self, schedule: ParamScheduler, iterations: int) -> None:
        self._schedule = schedule
        self._last = (iterations - 1) / iterations

    def __call__(self, where: float) -> float:
        return self._schedule(min(where, self._last))


def _fixed_gamma(cfg: CfgNode) -> ParamScheduler:
    """NUM_DECAYS times by GAMMA, at equal distances."""
    solver = cfg.SOLVER
    steps = StepWithFixedGammaParamScheduler(1.0, solver.NUM_DECAYS, solver.GAMMA, solver.MAX_ITER)
    return WarmupParamScheduler(
        _UpToTheEnd(steps, solver.MAX_ITER),
        solver.WARMUP_FACTOR,
        min(solver.WARMUP_ITERS / solver.MAX_ITER, 1.0),
        solver.WARMUP_METHOD,
        solver.RESCALE_INTERVAL,
    )


def _flat_cosine(cfg: CfgNode) -> ParamScheduler:
    solver = cfg.SOLVER
    warmup = min(solver.WARMUP_ITERS / solver.MAX_ITER, 1.0)
    flat = max(solver.FLAT_FRACTION - warmup, 0.0)
    end = solver.BASE_LR_END / solver.BASE_LR
    pieces = [
        (warmup, LinearParamScheduler(solver.WARMUP_FACTOR, 1.0)),
        (flat, ConstantParamScheduler(1.0)),
        (1.0 - warmup - flat, CosineParamScheduler(1.0, end)),
    ]
    used = [(length, piece) for length, piece in pieces if length > 0]
    return CompositeParamScheduler(
        [piece for _, piece in used],
        interval_scaling=["rescaled"] * len(used),
        lengths=[length for length, _ in used],
    )
