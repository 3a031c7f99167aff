"""The hooks of the training loop."""

from __future__ import annotations

import pytest
import torch
from detectron2.engine import (
    HookBase,
    hooks,
)
from detectron2.utils.events import JSONWriter
from embedded.engine_parts import make_trainer, read_metrics
from fvcore.common.checkpoint import Checkpointer
from torch import nn


def test_timer_and_writer(tmp_path):
    trainer = make_trainer()
    writer = JSONWriter(str(tmp_path / "metrics.json"))
    trainer.register_hooks(
        [
            hooks.IterationTimer(),
            hooks.EvalHook(0, lambda: {"segm": {"AP": 40}}),
            hooks.PeriodicWriter([writer], period=4),
        ]
    )
    trainer.train(0, 10)
    lines = read_metrics(tmp_path)
    assert [line["iteration"] for line in lines] == [3, 7, 9, 10]
    assert lines[-1]["segm/AP"] == 40
    assert len(trainer.storage.history("time").values()) == 8  # the first 2 are not timed
    assert {"total_loss", "loss_a", "time", "data_time"} <= lines[0].keys()


@pytest.mark.parametrize(
    ("period", "length", "expected"), [(5, 10, [4, 10]), (5, 11, [4, 9, 11]), (0, 5, [5])]
)
def test_evaluations(period, length, expected):
    trainer, calls = make_trainer(), []
    trainer.register_hooks([hooks.EvalHook(period, lambda: calls.append(trainer.iter))])
    trainer.train(0, length)
    assert calls == expected


def test_evaluation_follows_a_changed_length():
    trainer, calls = make_trainer(), []

    class StopEarly(HookBase):
        def after_step(self):
            if self.trainer.iter == 1:
                self.trainer.max_iter = 4

    trainer.register_hooks([StopEarly(), hooks.EvalHook(4, lambda: calls.append(trainer.iter))])
    trainer.train(0, 6)
    assert calls == [6]  # not at 3: that is the last one now


def test_evaluation_may_be_off_at_the_end_and_must_return_numbers():
    trainer, calls = make_trainer(), []
    trainer.register_hooks(
        [hooks.EvalHook(0, lambda: calls.append(1), eval_after_train=False)],
    )
    trainer.train(0, 2)
    assert not calls
    trainer = make_trainer()
    trainer.register_hooks([hooks.EvalHook(1, lambda: {"a": "much"})])
    with pytest.raises(ValueError, match="much"):
        trainer.train(0, 2)


def test_learning_rate_is_stepped_logged_and_restored(tmp_path):
    def make(rate):
        trainer = make_trainer()
        trainer.optimizer.param_groups[0]["lr"] = rate
        scheduler = torch.optim.lr_scheduler.StepLR(trainer.optimizer, 2)
        checkpointer = Checkpointer(trainer.model, str(tmp_path), trainer=trainer)
        trainer.register_hooks(
            [hooks.LRScheduler(scheduler=scheduler), hooks.PeriodicCheckpointer(checkpointer, 3)]
        )
        return trainer, scheduler, checkpointer

    trainer, _, _ = make(1.0)
    trainer.train(0, 5)
    rates = [value for value, _ in trainer.storage.history("lr").values()]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert sorted(p.name for p in tmp_path.glob("*.pth")) == [
        "model_0000002.pth",
        "model_final.pth",
    ]
    resumed, scheduler, checkpointer = make(9.0)
    checkpointer.resume_or_load("")
    assert (resumed.iter, scheduler.last_epoch) == (4, 5)
    assert resumed.optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


def test_group_to_log():
    def make(*groups):
        sizes = [[nn.Parameter(torch.zeros(1)) for _ in range(n)] for n, _ in groups]
        parameters = [{"params": p, "lr": g[1]} for p, g in zip(sizes, groups, strict=True)]
        return torch.optim.SGD(parameters, lr=1.0)

    choose = hooks.LRScheduler.get_best_param_group_id
    assert choose(make((1, 0.1), (3, 0.2), (2, 0.1))) == 1
    assert choose(make((1, 0.1), (1, 0.2), (1, 0.2))) == 1
