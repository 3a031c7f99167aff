"""Short runs of long configs."""

from __future__ import annotations

import pytest
import torch

from recseg_d2.config import load_config
from recseg_d2.engine.lengths import scale_lengths
from recseg_d2.engine.phases import phase_configs
from recseg_d2.engine.solver import build_lr_scheduler
from recseg_d2.errors import UserError


def test_every_phase_its_decays_and_its_sampling_are_scaled():
    cfg = load_config("ris_cityscapes.yaml", ["SOLVER.LENGTH_SCALE", "0.01"])
    box = phase_configs(cfg)["box"]
    assert [p.SOLVER.MAX_ITER for p in phase_configs(cfg).values()] == [400, 600, 700]
    assert box.SOLVER.NUM_DECAYS == 11  # of the phase, at equal distances
    assert box.SOLVER.CHECKPOINT_PERIOD == cfg.SOLVER.CHECKPOINT_PERIOD // 100
    assert box.TEST.EVAL_PERIOD == 50
    assert pytest.approx(28.85) == box.MODEL.RIS.SAMPLING.DECAY
    assert box.MODEL.RIS.SAMPLING.MASK_START == 100
    assert box.SOLVER.LENGTH_SCALE == 1.0  # its config.yaml is what was run
    assert cfg.SOLVER.MAX_ITER == load_config("ris_cityscapes.yaml").SOLVER.MAX_ITER


def test_what_is_off_stays_off_and_what_is_on_stays_on():
    opts = ["SOLVER.LENGTH_SCALE", "0.0001", "SOLVER.STEPS", "(6000,9000)"]
    cfg = load_config("rsis_small.yaml", [*opts, "SOLVER.WARMUP_ITERS", "0"])
    (own,) = phase_configs(cfg).values()
    assert (own.SOLVER.WARMUP_ITERS, own.SOLVER.MAX_ITER, own.SOLVER.STEPS) == (0, 1, (1, 1))


def test_a_short_run_has_the_rates_of_the_long_one():
    def rates(scale):
        opts = ["SOLVER.LENGTH_SCALE", scale, "SOLVER.MAX_ITER", "1000", "SOLVER.STEPS", "(500,)"]
        cfg = scale_lengths(load_config("rsis_cvppp.yaml", [*opts, "SOLVER.PHASES", "()"]))
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = build_lr_scheduler(cfg, optimizer)
        found = []
        for _ in range(cfg.SOLVER.MAX_ITER):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return found

    assert rates("0.1") == pytest.approx(rates("1.0")[::10])


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(UserError, match=r"SOLVER\.LENGTH_SCALE is 0.0; expected above 0"):
        load_config("rsis_small.yaml", ["SOLVER.LENGTH_SCALE", "0.0"])
