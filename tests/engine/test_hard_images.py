"""Images are drawn by how well the model does on them."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch
from detectron2.utils import comm
from torch import nn

from recseg_d2.data.loader import IMAGE_NUMBER, POSITION
from recseg_d2.engine.hard_images import HardImages
from recseg_d2.errors import UserError

NAN = float("nan")


class Reports(nn.Module):
    """Says of each image what it is told to say."""

    def __init__(self):
        super().__init__()
        self.image_iou = torch.zeros(0)

    def forward(self, batched_inputs):
        self.image_iou = torch.tensor([x["iou"] for x in batched_inputs], dtype=torch.float64)


def sample(position, image, iou):
    return {POSITION: position, IMAGE_NUMBER: image, "iou": iou}


@pytest.fixture
def followed():
    """The hook, its model, and what it asks for."""
    asked = []
    model = Reports().train()
    hook = HardImages(model, 2, lambda iteration, weights: asked.append((iteration, weights)))
    hook.trainer = SimpleNamespace(iter=0, max_iter=6)
    hook.before_train()
    yield hook, model, asked
    hook.after_train()


def step(hook, model, *samples):
    model(list(samples))
    hook.after_step()
    hook.trainer.iter += 1


def test_weights_follow_the_running_iou_and_change_once_a_period(followed):
    hook, model, asked = followed
    step(hook, model, sample(0, 0, 0.9), sample(1, 1, 0.5))
    assert asked == []
    step(hook, model, sample(2, 0, 0.9), sample(3, 2, NAN))
    # 0.7 + (0.9 - 0.7) / 4 = 0.75, then 0.7875; 0.7 - 0.2 / 4 = 0.65; image 2 had no object
    assert asked == [(2, {0: pytest.approx(0.3325), 1: pytest.approx(0.47)})]
    assert hook.weights == asked[0][1]
    step(hook, model, sample(4, 0, 0.1), sample(5, 1, 0.1))
    assert hook.weights == asked[0][1]


def test_what_is_seen_twice_in_one_iteration_counts_in_the_order_of_the_stream(followed):
    hook, model, asked = followed
    step(hook, model, sample(1, 0, 0.3), sample(0, 0, 1.0))
    step(hook, model)
    # 0.7 -> 0.775 by the 1.0 at position 0, then -> 0.65625
    assert asked[0][1] == {0: pytest.approx(0.46375)}


def test_evaluations_are_not_listened_to_and_the_end_asks_for_nothing(followed):
    hook, model, asked = followed
    model.eval()
    step(hook, model, sample(0, 0, 0.0))
    hook.trainer.iter = 5
    step(hook, model)
    assert asked == []
    assert hook.state_dict() == {"running": {}, "weights": {}}


def test_all_processes_know_what_each_has_seen(followed, monkeypatch):
    hook, model, asked = followed
    others = {1: (1, 0.5)}
    monkeypatch.setattr(comm, "all_gather", lambda own: [others, own])
    hook.trainer.iter = 1
    step(hook, model, sample(0, 0, 0.9))
    assert asked[0][1] == {0: pytest.approx(0.37), 1: pytest.approx(0.47)}


def test_a_checkpoint_has_the_weights_of_its_period(followed, tmp_path):
    hook, model, _ = followed
    step(hook, model, sample(0, 0, 0.9))
    step(hook, model, sample(1, 0, 0.9))
    step(hook, model, sample(2, 0, 0.1))
    torch.save(hook.state_dict(), tmp_path / "state.pth")
    other = HardImages(model, 2, lambda *_: None)
    other.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    assert other.state_dict() == hook.state_dict()
    assert other.weights == {0: pytest.approx(0.3325)}


def test_the_log_says_how_far_apart_weights_are(followed, caplog):
    hook, model, _ = followed
    caplog.set_level(logging.INFO)
    step(hook, model, sample(0, 0, 1.0), sample(1, 1, 0.0))
    step(hook, model)
    assert "the hardest 1.7 times as often as the easiest" in caplog.text  # 0.595 / 0.345


def test_a_model_that_does_not_report_is_refused():
    with pytest.raises(UserError, match=r"HARD_IMAGES_PERIOD is 5, and Linear does not report"):
        HardImages(nn.Linear(1, 1), 5, lambda *_: None)
