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

from recseg_d2.config import read_options
from recseg_d2.config.options import SolverOptions
from recseg_d2.engine.muon import Muon
from recseg_d2.errors import UserError

_LEAST_MATRIX = 8  # outputs and inputs of a layer whose weight Muon moves

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
        UserError: nothing is left to train.
    """
    solver, options = cfg.SOLVER, read_options(cfg, SolverOptions)
    if not any(p.requires_grad for p in model.parameters()):
        raise UserError(f"SOLVER.TRAINABLE {list(options.trainable)} leaves nothing to train.")
    groups = get_default_optimizer_params(
        model,
        base_lr=solver.BASE_LR,
        weight_decay=solver.WEIGHT_DECAY,
        weight_decay_norm=solver.WEIGHT_DECAY_NORM,
        bias_lr_factor=solver.BIAS_LR_FACTOR,
        weight_decay_bias=solver.WEIGHT_DECAY_BIAS,
        lr_factor_func=lambda name: (
            options.backbone_multiplier if "backbone" in name.split(".") else 1.0
        ),
    )
    arguments: dict[str, Any] = {"lr": solver.BASE_LR, "fused": True}
    if options.optimizer == "MUON":
        groups = _with_matrices(groups, model, options)
    if options.optimizer == "SGD":
        arguments.update(momentum=solver.MOMENTUM, nesterov=solver.NESTEROV)
    return _optimizer_class(cfg, options.optimizer)(groups, **arguments)


def _with_matrices(
    groups: list[dict[str, Any]], model: torch.nn.Module, options: SolverOptions
) -> list[dict[str, Any]]:
    """Groups of parameters, of which the matrices that Muon moves are groups of their own.

    Matrices are weights of layers with at least eight outputs and eight inputs, those of the
    backbone left out where its pretrained weights are to move more slowly.
    """
    slow = options.backbone_multiplier != 1
    matrices = {
        id(p)
        for name, p in model.named_parameters()
        if p.ndim >= 2
        and min(p.shape[0], p[0].numel()) >= _LEAST_MATRIX
        and not (slow and "backbone" in name.split("."))
    }
    result = []
    for group in groups:
        own = [p for p in group["params"] if id(p) in matrices]
        rest = [p for p in group["params"] if id(p) not in matrices]
        if own:
            result.append({**group, "params": own, "lr": options.matrix_lr, "matrices": True})
        if rest:
            result.append({**group, "params": rest})
    return result


def _optimizer_class(cfg: CfgNode, name: str) -> Any:
    names = {
        "SGD": torch.optim.SGD,
        "ADAM": torch.optim.Adam,
        "ADAMW": torch.optim.AdamW,
        "MUON": Muon,
    }
    chosen, clip = names[name], cfg.SOLVER.CLIP_GRADIENTS
    if clip.ENABLED and clip.CLIP_TYPE == "full_model":
        return _with_full_model_clipping(chosen, clip.CLIP_VALUE, clip.NORM_TYPE)
    return maybe_add_gradient_clipping(cfg, chosen)


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
    flat = max(read_options(cfg, SolverOptions).flat_fraction - warmup, 0.0)
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
