"""Signals end a training in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import torch

from recseg_d2.cli.train import run_phase
from recseg_d2.engine.checkpoints import is_finished
from recseg_d2.engine.stopping import StopRequests, listening
from recseg_d2.engine.trainer import Trainer
from recseg_d2.errors import Stopped


def stop_in(monkeypatch, iteration, *signals):
    """Have the process receive signals in the midst of an iteration."""
    run_step = Trainer.run_step

    def step(self):
        run_step(self)
        if self.iter == iteration:
            for number in signals:
                os.kill(os.getpid(), number)

    monkeypatch.setattr(Trainer, "run_step", step)


def final(cfg):
    return torch.load(f"{cfg.OUTPUT_DIR}/model_final.pth", weights_only=True)["model"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
@pytest.mark.parametrize("iteration", [0, 3], ids=["first", "last"])
def test_a_signal_saves_and_the_run_goes_on_to_the_same_bits(
    tiny_cfg, tiny_dataset, tmp_path, monkeypatch, number, iteration
):
    tiny_cfg.merge_from_list(["SOLVER.EMA_DECAY", 0.5, "SOLVER.CHECKPOINT_PERIOD", 100])
    tiny_cfg.merge_from_list(["DATASETS.TEST", (tiny_dataset,), "TEST.VAL_LOSS", False])
    run_phase(tiny_cfg, resume=False)
    whole = final(tiny_cfg)
    tiny_cfg.OUTPUT_DIR = str(tmp_path / "stopped")
    with monkeypatch.context() as patch, listening() as requests:
        stop_in(patch, iteration, number)
        with pytest.raises(Stopped, match=r"the state is saved in .*--resume goes on") as caught:
            run_phase(tiny_cfg, False, requests)
    assert caught.value.exit_code == 128 + number
    assert os.path.isfile(caught.value.saved)
    assert not is_finished(tiny_cfg.OUTPUT_DIR, 0)
    run_phase(tiny_cfg, resume=True)
    assert is_finished(tiny_cfg.OUTPUT_DIR, 4)
    resumed = final(tiny_cfg)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_a_second_ctrl_c_ends_at_once(tiny_cfg, monkeypatch):
    stop_in(monkeypatch, 1, signal.SIGINT, signal.SIGINT)
    with listening() as requests, pytest.raises(Stopped, match="nothing to save"):
        run_phase(tiny_cfg, False, requests)


def test_outside_of_training_a_signal_ends_where_it_comes():
    before = signal.getsignal(signal.SIGTERM)
    with listening(), pytest.raises(Stopped, match="Stopped by SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_process_does_not_take_the_request_as_its_own():
    requests = StopRequests()
    requests._process = -1
    requests.handle(signal.SIGINT, None)
    assert not requests.received


@pytest.mark.slow
def test_a_tool_that_is_stopped_prints_a_line_and_leaves_no_process(tmp_path, tool_env):
    command = [sys.executable, "-m", "recseg_d2.cli", "train", "--config-file"]
    command += ["rsis_synthetic.yaml", "MODEL.DEVICE", "cpu", "OUTPUT_DIR", str(tmp_path / "out")]
    command += ["DATALOADER.NUM_WORKERS", "1", "SOLVER.LOG_PERIOD", "1", "DATASETS.TEST", "()"]
    command += ["DATASETS.TRAIN", "('synthetic_rosettes_dev',)", "SOLVER.IMS_PER_BATCH", "2"]
    command += ["MODEL.SEQUENTIAL.IMAGE_SIZE", "(32,32)"]
    with subprocess.Popen(
        command, env=tool_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "iter: 1 " in line:
                process.terminate()
                break
        process.stdout.read()
        assert process.wait() == 128 + signal.SIGTERM
        message = process.stderr.read().splitlines()
    assert message[-1].startswith("Stopped by SIGTERM: the state is saved in ")
    assert "Traceback" not in "".join(message)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
