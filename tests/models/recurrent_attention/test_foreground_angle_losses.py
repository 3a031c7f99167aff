"""The pre-processor's loss, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from recseg_d2.models.recurrent_attention.foreground_angle import ForegroundAngleMaps
from recseg_d2.models.recurrent_attention.foreground_angle_losses import (
    angle_loss,
    foreground_angle_losses,
    foreground_loss,
)
from recseg_d2.models.recurrent_attention.pixel_targets import NO_ANGLE, PixelTargets

LOG3 = math.log(3.0)  # sigmoid(log 3) = 3/4


def test_one_channel_is_binary_whatever_the_class():
    logits = torch.tensor([LOG3, LOG3, 0.0]).view(1, 1, 1, 3)
    foreground = torch.tensor([5, 0, 1]).view(1, 1, 3)
    expected = -(math.log(3 / 4) + math.log(1 / 4) + math.log(1 / 2)) / 3
    assert foreground_loss(logits, foreground).item() == pytest.approx(expected)


def test_several_channels_are_a_softmax_with_the_background_first():
    logits = torch.zeros(1, 3, 1, 2)
    logits[0, 2, 0, 0] = math.log(2.0)  # shares 1/4 1/4 1/2 at the first pixel, thirds at the other
    foreground = torch.tensor([2, 0]).view(1, 1, 2)
    expected = (math.log(2) + math.log(3)) / 2
    assert foreground_loss(logits, foreground).item() == pytest.approx(expected)


def test_angles_count_on_objects_only():
    logits = torch.zeros(1, 8, 1, 3)
    logits[0, 3, 0, 0] = math.log(7.0)  # 7/14 for class 3
    logits[0, 0, 0, 1] = 50.0
    angle = torch.tensor([3, NO_ANGLE, 7]).view(1, 1, 3)
    expected = (math.log(2) + math.log(8)) / 2
    assert angle_loss(logits, angle).item() == pytest.approx(expected)


def test_no_object_gives_zero_and_a_gradient_path():
    logits = torch.randn(1, 8, 2, 2, requires_grad=True)
    loss = angle_loss(logits, torch.full((1, 2, 2), NO_ANGLE))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_terms_weights_and_what_is_left_out():
    targets = PixelTargets(torch.ones(1, 2, 2).long(), torch.zeros(1, 2, 2).long())
    maps = ForegroundAngleMaps(torch.zeros(1, 1, 2, 2), torch.zeros(1, 8, 2, 2))
    losses = foreground_angle_losses(maps, targets, foreground_weight=2.0, angle_weight=0.5)
    assert losses["loss_foreground"].item() == pytest.approx(2 * math.log(2))
    assert losses["loss_angle"].item() == pytest.approx(0.5 * math.log(8))
    assert foreground_angle_losses(maps, targets, 0.0, 0.0) == {}
    maps.angle_logits = None
    assert set(foreground_angle_losses(maps, targets)) == {"loss_foreground"}


def test_gradients_in_float64():
    torch.manual_seed(0)
    foreground = torch.randint(0, 3, (2, 3, 2))
    angle = torch.where(foreground > 0, torch.randint(0, 8, (2, 3, 2)), NO_ANGLE)
    one = torch.randn(2, 1, 3, 2, dtype=torch.float64, requires_grad=True)
    three = torch.randn(2, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    eight = torch.randn(2, 8, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: foreground_loss(x, foreground), one)
    assert torch.autograd.gradcheck(lambda x: foreground_loss(x, foreground), three)
    assert torch.autograd.gradcheck(lambda x: angle_loss(x, angle), eight)
