"""Detectron2's own trainer and functions on configs of this package."""

from __future__ import annotations

import torch
from detectron2.config import get_cfg
from detectron2.engine import DefaultTrainer
from detectron2.modeling import build_model
from detectron2.solver import build_lr_scheduler, build_optimizer

from recseg_d2.engine.detectron2_solver import register_solver

OURS = [
    *("SOLVER.OPTIMIZER", "ADAMW", "SOLVER.LR_SCHEDULER_NAME", "WarmupFlatCosineLR"),
    *("SOLVER.FLAT_FRACTION", 0.5, "SOLVER.CLIP_GRADIENTS.ENABLED", True),
    *("SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "full_model"),
]


def test_clipping_and_schedules_of_this_package_are_built_by_detectron2s_functions(tiny_cfg):
    tiny_cfg.merge_from_list(OURS)
    optimizer = build_optimizer(tiny_cfg, build_model(tiny_cfg))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert type(optimizer).__name__ == "AdamWWithFullModelClipping"
    scheduler = build_lr_scheduler(tiny_cfg, optimizer)
    assert scheduler.get_last_lr()[0] == tiny_cfg.SOLVER.BASE_LR


def test_a_config_without_its_keys_is_detectron2s_own_affair():
    cfg = get_cfg()
    assert type(build_optimizer(cfg, torch.nn.Linear(1, 1))) is torch.optim.SGD


def test_they_are_replaced_once():
    before = build_optimizer
    register_solver()
    import detectron2.solver

    assert detectron2.solver.build_optimizer is before


def test_detectron2s_trainer_trains_a_config_of_this_package(tiny_cfg, tmp_path):
    tiny_cfg.merge_from_list([*OURS, "SOLVER.MAX_ITER", 2])
    (tmp_path / "run").mkdir()
    trainer = DefaultTrainer(tiny_cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()
    assert type(trainer.optimizer).__name__ == "AdamWWithFullModelClipping"
    assert (tmp_path / "run" / "model_final.pth").is_file()
