from pathlib import Path

import pytest
import torch

from recseg_d2.cli.train import run_phase
from recseg_d2.engine.checkpoints import FINAL, record_finished
from recseg_d2.engine.phases import phase_configs, run_phases, select_phase
from recseg_d2.errors import UserError

PHASES = [
    {
        "NAME": "masks",
        "MODEL": {"RSIS": {"LOSS_WEIGHTS": {"STOP": 0.0}}},
        "SOLVER": {"MAX_ITER": 2},
    },
    {"NAME": "stop", "SOLVER": {"MAX_ITER": 3, "TRAINABLE": [r"decoder\.stop_head"]}},
]


@pytest.fixture
def phased(tiny_cfg):
    tiny_cfg.SOLVER.PHASES = PHASES
    return tiny_cfg


def model(folder):
    return torch.load(Path(folder) / "model_final.pth", weights_only=False)["model"]


def test_without_phases_the_config_is_the_only_one(tiny_cfg):
    assert phase_configs(tiny_cfg) == {"": tiny_cfg}


def test_phases_are_configs_of_their_own(phased):
    first, second = phase_configs(phased).values()
    assert first.MODEL.RSIS.LOSS_WEIGHTS.STOP == 0.0
    assert second.MODEL.RSIS.LOSS_WEIGHTS.STOP == phased.MODEL.RSIS.LOSS_WEIGHTS.STOP
    assert second.SOLVER.MAX_ITER == 3
    assert f"{phased.OUTPUT_DIR}/1_masks" == first.OUTPUT_DIR
    assert second.OUTPUT_DIR == phased.OUTPUT_DIR  # where tools look for the finished model
    assert f"{first.OUTPUT_DIR}/model_final.pth" == second.MODEL.WEIGHTS
    assert first.MODEL.WEIGHTS == ""


def test_a_run_goes_through_them_and_passes_the_weights_on(phased):
    phases = phase_configs(phased)
    run_phases(phases, run_phase)
    first, second = (model(phase.OUTPUT_DIR) for phase in phases.values())
    changed = {name for name in first if not torch.equal(first[name], second[name])}
    assert {n for n in changed if not n.endswith("num_batches_tracked")} <= {
        "decoder.stop_head.weight",
        "decoder.stop_head.bias",
    }
    assert "decoder.stop_head.bias" in changed


def test_resuming_skips_finished_phases_and_goes_on_in_the_broken_one(phased):
    ran = []

    def run(cfg, resume):
        ran.append((Path(cfg.OUTPUT_DIR).name, resume))
        Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
        if cfg.OUTPUT_DIR == phased.OUTPUT_DIR:
            raise KeyboardInterrupt
        (Path(cfg.OUTPUT_DIR) / FINAL).touch()
        record_finished(cfg.OUTPUT_DIR, cfg.SOLVER.MAX_ITER, ended_early=False)
        return {}

    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            run_phases(phase_configs(phased), run, resume=resume)
    last = Path(phased.OUTPUT_DIR).name
    assert ran == [("1_masks", False), (last, False), (last, True)]


def test_a_phase_can_run_alone_after_the_one_before_it(phased):
    phases = phase_configs(phased)
    with pytest.raises(UserError, match="run the phase before it first"):
        select_phase(phases, "stop")
    run_phases(select_phase(phases, "masks"), run_phase)
    run_phases(select_phase(phases, "stop"), run_phase)
    assert model(phases["stop"].OUTPUT_DIR)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([{"NAME": "a"}, {"NAME": "a"}], "names have to differ"),
        ([{"SOLVER": {}}], "a phase is {NAME: word"),
        ([{"NAME": "no/slash"}], "a phase is {NAME: word"),
        ([{"NAME": "a", "SOLVER": {"MAXITER": 3}}], "phase 'a'.*Non-existent config key"),
    ],
)
def test_wrong_phases_are_refused_before_anything_runs(tiny_cfg, phases, message):
    tiny_cfg.SOLVER.PHASES = phases
    with pytest.raises(UserError, match=message):
        phase_configs(tiny_cfg)


def test_an_unknown_phase_is_named(phased):
    with pytest.raises(UserError, match=r"No phase 'box': SOLVER.PHASES has \['masks', 'stop'\]"):
        select_phase(phase_configs(phased), "box")
