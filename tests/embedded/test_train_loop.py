"""The training loop."""

from __future__ import annotations

import math

import pytest
import torch
from detectron2.engine import (
    AMPTrainer,
    HookBase,
    TrainerBase,
)
from embedded.engine_parts import EngineTestModel, make_batches, make_trainer


class _Recorder(HookBase):
    def __init__(self):
        self.calls: list[tuple[str, int]] = []

    def record(self, name):
        self.calls.append((name, self.trainer.iter))

    def before_train(self):
        self.record("before_train")

    def before_step(self):
        self.record("before_step")

    def after_backward(self):
        self.record("after_backward")

    def after_step(self):
        self.record("after_step")

    def after_train(self):
        self.record("after_train")


class _Stateful(HookBase):
    value = 0

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state_dict):
        self.value = state_dict["value"]


def test_order_of_hooks():
    trainer, recorder = make_trainer(), _Recorder()
    trainer.register_hooks([None, recorder])
    trainer.train(3, 5)
    step = ["before_step", "after_backward", "after_step"]
    expected = [("before_train", 3), *((s, i) for i in (3, 4) for s in step), ("after_train", 5)]
    assert recorder.calls == expected


def test_after_train_runs_after_a_failure():
    class Fails(TrainerBase):
        def run_step(self):
            raise ZeroDivisionError

    trainer, recorder = Fails(), _Recorder()
    trainer.register_hooks([recorder])
    with pytest.raises(ZeroDivisionError):
        trainer.train(0, 3)
    assert recorder.calls[-1] == ("after_train", 0)
    with pytest.raises(AssertionError):
        trainer.register_hooks([object()])


def test_training_lowers_the_loss_and_reports_it():
    trainer = make_trainer()
    trainer.train(0, 30)
    losses = [value for value, _ in trainer.storage.history("total_loss").values()]
    assert len(losses) == 30
    assert losses[-1] < losses[0] / 2
    latest = trainer.storage.latest()
    assert latest["loss_a"][0] == pytest.approx(2 * latest["loss_b"][0])
    assert {"data_time", "rank_data_time"} <= latest.keys()


def test_metrics_can_be_collected_less_often():
    trainer = make_trainer(gather_metric_period=5)
    trainer.train(0, 12)
    assert [i for _, i in trainer.storage.history("total_loss").values()] == [4, 9]


def test_loss_that_is_not_a_number_stops():
    class Broken(EngineTestModel):
        def forward(self, batch):
            return self.layer(batch).mean() * math.nan

    with pytest.raises(FloatingPointError, match="iteration=0"):
        make_trainer(Broken()).train(0, 1)


def test_model_in_eval_mode_is_refused():
    trainer = make_trainer()
    trainer.model.eval()
    with pytest.raises(AssertionError, match="eval"):
        trainer.train(0, 1)


def test_loader_is_started_late_and_replaced():
    started = []

    def load(name):
        started.append(name)
        yield from make_batches()

    trainer = make_trainer()
    trainer.data_loader = load("a")
    trainer.reset_data_loader(lambda: load("b"))
    assert not started
    trainer.train(0, 2)
    assert started == ["b"]


def test_states_of_trainer_and_hooks():
    trainer, hook = make_trainer(), _Stateful()
    hook.value = 5
    trainer.register_hooks([hook, _Stateful(), _Recorder()])
    trainer.train(0, 3)
    state = trainer.state_dict()
    assert state["iteration"] == 3
    assert state["hooks"] == {"_Stateful": {"value": 5}}
    assert state["optimizer"]["param_groups"][0]["lr"] == 0.1
    other, first, second = make_trainer(), _Stateful(), _Stateful()
    other.register_hooks([first, second])
    other.load_state_dict(state)
    assert (other.iter, first.value, second.value) == (3, 5, 0)
    make_trainer().load_state_dict(state)  # a hook that is gone is only warned of


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without CUDA")
@pytest.mark.filterwarnings("ignore")
def test_mixed_precision_needs_cuda():
    model = EngineTestModel()
    trainer = AMPTrainer(model, make_batches(), torch.optim.SGD(model.parameters(), 0.1))
    with pytest.raises(AssertionError, match="CUDA"):
        trainer.train(0, 1)
