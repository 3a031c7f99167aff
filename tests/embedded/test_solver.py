"""Optimisers and learning rates."""

from __future__ import annotations

import math

import pytest
import torch
from detectron2.config import get_cfg
from detectron2.solver import (
    LRMultiplier,
    WarmupParamScheduler,
    build_lr_scheduler,
    build_optimizer,
    get_default_optimizer_params,
)
from detectron2.solver.build import maybe_add_gradient_clipping
from fvcore.common.param_scheduler import CosineParamScheduler, MultiStepParamScheduler
from torch import nn


def make_model() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    model[0].bias.requires_grad = False
    return model


def settings_of(groups: list[dict], parameter: nn.Parameter) -> dict:
    found = [g for g in groups if any(p is parameter for p in g["params"])]
    assert len(found) == 1
    return {k: v for k, v in found[0].items() if k != "params"}


def make_optimizer(rate: float = 1.0) -> torch.optim.Optimizer:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.zeros(2)
    return torch.optim.SGD([parameter], lr=rate)


def run(scheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def test_frozen_parameters_are_left_out():
    model = make_model()
    groups = get_default_optimizer_params(model)
    assert len(groups) == 1
    assert len(groups[0]["params"]) == 5
    assert all(p is not model[0].bias for p in groups[0]["params"])


def test_settings_of_norms_biases_and_names():
    model = make_model()
    groups = get_default_optimizer_params(
        model,
        base_lr=0.1,
        weight_decay=0.01,
        weight_decay_norm=0.0,
        bias_lr_factor=2.0,
        weight_decay_bias=0.5,
        lr_factor_func=lambda name: 10.0 if name.startswith("2.") else 1.0,
    )
    assert settings_of(groups, model[0].weight) == {"lr": 0.1, "weight_decay": 0.01}
    assert settings_of(groups, model[1].weight) == {"lr": 0.1, "weight_decay": 0.0}
    assert settings_of(groups, model[2].weight) == {"lr": 1.0, "weight_decay": 0.01}
    assert settings_of(groups, model[2].bias) == {"lr": 0.2, "weight_decay": 0.5}


@pytest.mark.parametrize("option", [{"bias_lr_factor": 2.0}, {"lr_factor_func": lambda name: 1.0}])
def test_factors_need_a_rate(option):
    with pytest.raises(ValueError, match="base_lr"):
        get_default_optimizer_params(make_model(), **option)


def test_shared_parameters_come_once():
    layer = nn.Linear(2, 2)
    groups = get_default_optimizer_params(nn.ModuleDict({"a": layer, "b": layer}))
    assert len(groups[0]["params"]) == 2


def test_optimizer_from_config():
    cfg = get_cfg()
    cfg.SOLVER.BASE_LR, cfg.SOLVER.MOMENTUM, cfg.SOLVER.WEIGHT_DECAY_NORM = 0.5, 0.8, 0.25
    model = make_model()
    optimizer = build_optimizer(cfg, model)
    assert isinstance(optimizer, torch.optim.SGD)
    norm = settings_of(optimizer.param_groups, model[1].weight)
    assert (norm["lr"], norm["momentum"], norm["weight_decay"]) == (0.5, 0.8, 0.25)
    other = settings_of(optimizer.param_groups, model[0].weight)
    assert other["weight_decay"] == cfg.SOLVER.WEIGHT_DECAY


@pytest.mark.parametrize("as_class", [True, False])
@pytest.mark.parametrize(
    ("kind", "expected"), [("value", [1.0, -0.5]), ("norm", [4 / 4.031129, -0.5 / 4.031129])]
)
def test_gradients_are_clipped(kind, expected, as_class):
    cfg = get_cfg()
    clip = cfg.SOLVER.CLIP_GRADIENTS
    clip.ENABLED, clip.CLIP_TYPE, clip.CLIP_VALUE, clip.NORM_TYPE = True, kind, 1.0, 2.0
    parameter = nn.Parameter(torch.zeros(2))
    if as_class:
        optimizer = maybe_add_gradient_clipping(cfg, torch.optim.SGD)([parameter], lr=1.0)
    else:
        optimizer = maybe_add_gradient_clipping(cfg, torch.optim.SGD([parameter], lr=1.0))
    assert isinstance(optimizer, torch.optim.SGD)
    parameter.grad = torch.tensor([4.0, -0.5])
    optimizer.step()
    assert torch.allclose(-parameter.detach(), torch.tensor(expected), atol=1e-5)


def test_no_clipping_by_default():
    assert maybe_add_gradient_clipping(get_cfg(), torch.optim.SGD) is torch.optim.SGD


def test_warmup_and_steps():
    schedule = WarmupParamScheduler(
        MultiStepParamScheduler([1.0, 0.1], milestones=[7], num_updates=10), 0.5, 4 / 10
    )
    rates = run(LRMultiplier(make_optimizer(2.0), schedule, max_iter=10), 10)
    assert rates == pytest.approx([1.0, 1.25, 1.5, 1.75, 2, 2, 2, 0.2, 0.2, 0.2])


def test_constant_warmup_and_unknown_one():
    schedule = WarmupParamScheduler(CosineParamScheduler(1, 0), 0.25, 0.5, "constant")
    assert run(LRMultiplier(make_optimizer(), schedule, 4), 4)[:2] == [0.25, 0.25]
    with pytest.raises(ValueError, match="sudden"):
        WarmupParamScheduler(CosineParamScheduler(1, 0), 0.25, 0.5, "sudden")


def test_groups_keep_their_ratio():
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [p], "lr": r} for p, r in zip(parameters, (1, 4))])  # noqa: B905
    scheduler = LRMultiplier(optimizer, CosineParamScheduler(1, 0), 3)
    run(scheduler, 2)
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates[1] == pytest.approx(4 * rates[0])
    assert rates[0] == pytest.approx((1 + math.cos(math.pi * 2 / 3)) / 2)


def test_scheduler_state_goes_on_where_it_was():
    scheduler = LRMultiplier(make_optimizer(), CosineParamScheduler(1, 0), 10)
    run(scheduler, 4)
    state = scheduler.state_dict()
    assert state == {"base_lrs": [1.0], "last_epoch": 4}
    resumed = LRMultiplier(make_optimizer(), CosineParamScheduler(1, 0), 10)
    resumed.load_state_dict(state)
    run(resumed, 1)
    run(scheduler, 1)
    assert (
        resumed.get_last_lr() or resumed.optimizer.param_groups == scheduler.optimizer.param_groups
    )
    assert resumed.optimizer.param_groups[0]["lr"] == scheduler.optimizer.param_groups[0]["lr"]


def test_multiplier_must_be_fvcores():
    with pytest.raises(ValueError, match="ParamScheduler"):
        LRMultiplier(make_optimizer(), lambda where: 1.0, 10)


def make_cfg(name: str):
    cfg = get_cfg()
    solver = cfg.SOLVER
    solver.LR_SCHEDULER_NAME, solver.MAX_ITER, solver.BASE_LR = name, 10, 1.0
    solver.WARMUP_ITERS, solver.STEPS, solver.GAMMA = 0, (4, 8, 12), 0.1
    return cfg


def test_schedulers_from_config():
    rates = run(build_lr_scheduler(make_cfg("WarmupMultiStepLR"), make_optimizer()), 10)
    assert rates == pytest.approx([1.0] * 4 + [0.1] * 4 + [0.01] * 2)
    cfg = make_cfg("WarmupCosineLR")
    cfg.SOLVER.BASE_LR_END = 0.5
    rates = run(build_lr_scheduler(cfg, make_optimizer()), 10)
    assert rates == pytest.approx([0.75 + 0.25 * math.cos(math.pi * i / 10) for i in range(10)])
    cfg = make_cfg("WarmupStepWithFixedGammaLR")
    cfg.SOLVER.NUM_DECAYS = 1
    rates = run(build_lr_scheduler(cfg, make_optimizer()), 9)
    assert rates == pytest.approx([1.0] * 5 + [0.1] * 4)


def test_unknown_scheduler():
    with pytest.raises(ValueError, match="Nobody"):
        build_lr_scheduler(make_cfg("Nobody"), make_optimizer())
