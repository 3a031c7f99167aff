"""Several processes train as one does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from engine.tiny_models import MODELS
from torch import nn
from warm_python import run_torchrun

from recseg_d2.layers.step_norm import StepBatchNorm2d
from recseg_d2.layers.synced_norm import (
    SyncedBatchNorm2d,
    SyncedStepBatchNorm2d,
    synchronise_batch_norms,
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tool_env):
    """Folders of all models trained by one process, and by two."""
    folders = []
    for processes in (1, 2):
        folder = tmp_path_factory.mktemp("trained") / str(processes)
        words = [Path(__file__).parent / "train_models.py", folder]
        result = run_torchrun(processes, words, tool_env)
        assert result.returncode == 0, result.stderr[-3000:]
        folders.append(folder)
    return folders


def metrics(folder):
    """The last value of each."""
    lines = (folder / "metrics.json").read_text().splitlines()
    return {name: value for line in lines for name, value in json.loads(line).items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_two_processes_equal_one(runs, name):
    one, two = (torch.load(f / name / "model_final.pth", weights_only=True) for f in runs)
    for key, value in one["model"].items():
        torch.testing.assert_close(two["model"][key], value, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_validation_loss_does_not_depend_on_their_number(runs, name):
    one, two = (metrics(folder / name) for folder in runs)
    terms = [key for key in one if key.startswith("val_loss/")]
    assert len(terms) >= 2
    for term in terms:
        assert two[term] == pytest.approx(one[term], rel=1e-4), term


@pytest.fixture
def one_process():
    """A group of this process alone."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("plain", "synced"),
    [(nn.BatchNorm2d(3), SyncedBatchNorm2d), (StepBatchNorm2d(3, 2), SyncedStepBatchNorm2d)],
    ids=["plain", "per step"],
)
def test_the_norm_of_one_process_is_that_of_pytorch(one_process, plain, synced):
    torch.manual_seed(0)
    own = nn.Sequential(type(plain)(3) if type(plain) is nn.BatchNorm2d else type(plain)(3, 2))
    synchronise_batch_norms(own)
    assert type(own[0]) is synced
    for step in range(2):
        x = torch.randn(4, 3, 5, 6) * 3 + 20
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        arguments = () if synced is SyncedBatchNorm2d else (step,)
        (plain(a, *arguments) ** 3).mean().backward()
        (own[0](b, *arguments) ** 3).mean().backward()
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-6)
    assert plain.state_dict().keys() == own[0].state_dict().keys()
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(own[0].state_dict()[key], value)
