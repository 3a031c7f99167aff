import math

import pytest
import torch

from recseg_d2.engine.solver import build_lr_scheduler, build_optimizer
from recseg_d2.errors import UserError


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Linear(2, 2)
        self.head = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("SGD", torch.optim.SGD), ("ADAM", torch.optim.Adam), ("ADAMW", torch.optim.AdamW)],
)
@pytest.mark.parametrize("clip", ["", "full_model", "value"])
def test_optimizers_step(tiny_cfg, name, kind, clip):
    tiny_cfg.SOLVER.OPTIMIZER = name
    if clip:
        tiny_cfg.merge_from_list(
            ["SOLVER.CLIP_GRADIENTS.ENABLED", True, "SOLVER.CLIP_GRADIENTS.CLIP_TYPE", clip]
        )
    model = Model()
    optimizer = build_optimizer(tiny_cfg, model)
    assert isinstance(optimizer, kind)
    model.head(model.backbone(torch.randn(4, 2))).square().sum().backward()
    before = model.backbone.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(before, model.backbone.weight)


def test_full_model_clipping_limits_the_norm_of_all_gradients(tiny_cfg):
    tiny_cfg.merge_from_list(
        [
            *("SOLVER.OPTIMIZER", "SGD", "SOLVER.MOMENTUM", 0.0, "SOLVER.WEIGHT_DECAY", 0.0),
            *("SOLVER.CLIP_GRADIENTS.ENABLED", True, "SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 0.5),
            *("SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "full_model", "SOLVER.BASE_LR", 1.0),
        ]
    )
    model = Model()
    optimizer = build_optimizer(tiny_cfg, model)
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.full_like(p, 3.0)
    optimizer.step()
    moved = sum((a - b).square().sum() for a, b in zip(before, model.parameters(), strict=True))
    assert moved.sqrt().item() == pytest.approx(0.5, rel=1e-4)


def test_the_backbone_has_its_own_rate_and_norms_their_own_decay(tiny_cfg):
    tiny_cfg.merge_from_list(
        [
            *("SOLVER.BACKBONE_MULTIPLIER", 0.1, "SOLVER.BASE_LR", 0.2),
            *("SOLVER.WEIGHT_DECAY", 0.3, "SOLVER.WEIGHT_DECAY_NORM", 0.0),
        ]
    )
    model = Model()
    found = {}
    for group in build_optimizer(tiny_cfg, model).param_groups:
        for p in group["params"]:
            found[id(p)] = (round(group["lr"], 6), group["weight_decay"])
    assert found[id(model.backbone.weight)] == (0.02, 0.3)
    assert found[id(model.head[0].weight)] == (0.2, 0.3)
    assert found[id(model.head[1].weight)] == (0.2, 0.0)


def test_unknown_optimizer_and_nothing_to_train_are_refused(tiny_cfg):
    tiny_cfg.SOLVER.OPTIMIZER = "LION"
    with pytest.raises(UserError, match="'LION'; expected one of"):
        build_optimizer(tiny_cfg, Model())
    tiny_cfg.SOLVER.OPTIMIZER = "SGD"
    with pytest.raises(UserError, match="nothing to train"):
        build_optimizer(tiny_cfg, Model().requires_grad_(False))


def test_an_unknown_schedule_is_refused(tiny_cfg):
    tiny_cfg.SOLVER.LR_SCHEDULER_NAME = "Sawtooth"
    with pytest.raises(UserError, match="'Sawtooth': expected one of"):
        build_lr_scheduler(tiny_cfg, build_optimizer(tiny_cfg, Model()))


def test_flat_cosine_by_hand(tiny_cfg):
    tiny_cfg.merge_from_list(
        [
            *("SOLVER.LR_SCHEDULER_NAME", "WarmupFlatCosineLR", "SOLVER.MAX_ITER", 10),
            *("SOLVER.WARMUP_ITERS", 2, "SOLVER.WARMUP_FACTOR", 0.5, "SOLVER.FLAT_FRACTION", 0.4),
            *("SOLVER.BASE_LR", 1.0, "SOLVER.BASE_LR_END", 0.0, "SOLVER.OPTIMIZER", "SGD"),
        ]
    )
    optimizer = build_optimizer(tiny_cfg, Model())
    scheduler = build_lr_scheduler(tiny_cfg, optimizer)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    cosine = [0.5 * (1 + math.cos(math.pi * i / 6)) for i in range(6)]
    assert rates == pytest.approx([0.5, 0.75, 1.0, 1.0, *cosine], abs=1e-6)


def test_fixed_gamma_by_hand_up_to_the_end_of_training(tiny_cfg):
    tiny_cfg.SOLVER.LR_SCHEDULER_NAME = "WarmupStepWithFixedGammaLR"
    tiny_cfg.SOLVER.MAX_ITER, tiny_cfg.SOLVER.NUM_DECAYS, tiny_cfg.SOLVER.GAMMA = 8, 3, 0.5
    tiny_cfg.SOLVER.WARMUP_ITERS = 0
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=8.0)
    scheduler = build_lr_scheduler(tiny_cfg, optimizer)
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()  # the eighth asks for the rate after the last iteration
    assert rates == [8, 8, 4, 4, 2, 2, 1, 1]


@pytest.mark.parametrize("iterations", [1, 2])
def test_fixed_gamma_with_fewer_iterations_than_decays(tiny_cfg, iterations):
    tiny_cfg.SOLVER.LR_SCHEDULER_NAME = "WarmupStepWithFixedGammaLR"
    tiny_cfg.SOLVER.MAX_ITER, tiny_cfg.SOLVER.NUM_DECAYS = iterations, 5
    tiny_cfg.SOLVER.WARMUP_ITERS = 0
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=8.0)
    scheduler = build_lr_scheduler(tiny_cfg, optimizer)
    for _ in range(iterations):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] > 0
