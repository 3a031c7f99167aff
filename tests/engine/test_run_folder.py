"""A folder belongs to one run."""

from __future__ import annotations

import signal

import pytest
from warm_python import run_python

from recseg_d2.config import load_config
from recseg_d2.engine.run_folder import check_resumable, check_unused, clear, owned, write_config
from recseg_d2.errors import UserError


@pytest.fixture
def cfg(tmp_path):
    return load_config("rsis_synthetic.yaml", ["OUTPUT_DIR", str(tmp_path / "run")])


def begin(cfg):
    """Leave what a run leaves."""
    write_config(cfg)
    with open(f"{cfg.OUTPUT_DIR}/metrics.json", "w") as file:
        file.write('{"iteration": 1}\n')


def resume(cfg):
    check_resumable({"": cfg}, cfg.OUTPUT_DIR)


def test_what_a_run_may_change(cfg):
    resume(cfg)  # nothing there yet
    begin(cfg)
    cfg.MODEL.SEQUENTIAL.TEST.SCORE_THRESH, cfg.TEST.EVAL_PERIOD = 0.1, 7
    cfg.MODEL.PRECISION, cfg.MODEL.WEIGHTS, cfg.SOLVER.MAX_ITER = "bfloat16", "other.pth", 9
    cfg.SOLVER.CHECKPOINT_PERIOD, cfg.DATALOADER.NUM_WORKERS = 3, 2
    resume(cfg)


def test_keys_that_differ_are_listed(cfg):
    begin(cfg)
    cfg.SOLVER.BASE_LR, cfg.INPUT.AUGS = 0.5, ("vflip",)
    with pytest.raises(UserError) as caught:
        resume(cfg)
    message = str(caught.value)
    assert "SOLVER.BASE_LR is 0.5, but 0.00" in message
    assert "INPUT.AUGS is ['vflip'], but ['hflip" in message
    assert "name them in SOLVER.RESUME_CHANGES ['INPUT.AUGS', 'SOLVER.BASE_LR']" in message
    assert "--overwrite" in message


def test_a_change_that_is_named_is_allowed(cfg, caplog):
    begin(cfg)
    cfg.SOLVER.BASE_LR, cfg.SOLVER.RESUME_CHANGES = 0.5, ("SOLVER.BASE_LR",)
    with caplog.at_level("INFO"):
        resume(cfg)
    assert "SOLVER.BASE_LR is 0.5 from now on" in caplog.text


@pytest.mark.parametrize(
    ("key", "value"), [("SOLVER.OPTIMIZER", "SGD"), ("MODEL.SEQUENTIAL.STEPS", 3), ("SEED", 5)]
)
def test_what_states_depend_on_is_never_changed(cfg, key, value):
    begin(cfg)
    cfg.merge_from_list([key, value, "SOLVER.RESUME_CHANGES", [key]])
    with pytest.raises(UserError, match=f"{key} is {value}, but"):
        resume(cfg)


def test_results_without_a_config_are_not_gone_on_with(cfg, tmp_path):
    begin(cfg)
    (tmp_path / "run" / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"config\.yaml cannot be read"):
        resume(cfg)


def test_phases_of_another_run_are_named(cfg, tmp_path):
    other = cfg.clone()
    other.OUTPUT_DIR = str(tmp_path / "run" / "1_masks")
    begin(other)
    check_resumable({"masks": other, "": cfg}, cfg.OUTPUT_DIR)
    with pytest.raises(UserError, match=r"has the phases 1_masks, which SOLVER\.PHASES has not"):
        resume(cfg)


def test_a_folder_with_results_is_refused_or_cleared(cfg, tmp_path):
    write_config(cfg)
    check_unused({"": cfg})  # it broke off before it had done anything
    begin(cfg)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds the results of a run"):
        check_unused({"": cfg})
    clear({"": cfg})
    check_unused({"": cfg})
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_a_dead_process_owns_nothing(tmp_path, tool_env):
    script, folder = tmp_path / "own.py", tmp_path / "run"
    script.write_text(
        "import os, signal, recseg_d2\n"
        "from recseg_d2.engine.run_folder import owned\n"
        f"with owned({str(folder)!r}, patience=0):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    folder.mkdir()
    with owned(folder):
        refused = run_python([script], tool_env)
    assert refused.returncode == 1
    assert "another process" in refused.stderr
    assert run_python([script], tool_env).returncode == -signal.SIGKILL
    with owned(folder, patience=0):
        pass
