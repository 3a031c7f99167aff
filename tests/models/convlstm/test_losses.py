import math

import pytest
import torch

from recseg_d2.models.convlstm import losses as terms


def test_mask_loss_is_the_mean_over_matched_pairs():
    iou = torch.tensor([[[0.9, 0.1], [0.2, 0.6], [0.5, 0.5]]])
    assert terms.mask_loss(iou, torch.tensor([[0, 1, -1]])).item() == pytest.approx(0.25)


def test_mask_loss_of_nothing_is_zero_and_has_a_gradient_path():
    iou = torch.rand(1, 2, 1, requires_grad=True)
    loss = terms.mask_loss(iou, torch.tensor([[-1, -1]]))
    loss.backward()
    assert loss.item() == 0.0
    assert iou.grad.abs().sum() == 0.0


def test_box_loss_by_hand():
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]]])
    targets = torch.tensor([[[0.0, 0.2, 1.0, 0.6], [0.0, 0.0, 0.0, 0.0]]])
    matched = torch.tensor([[True, False]])
    expected = (0.2**2 + 0.4**2) / 4
    assert terms.box_loss(boxes, targets, matched).item() == pytest.approx(expected)


def test_stop_loss_by_hand():
    logits = torch.tensor(
        [[2.0, -1.0, 0.5, 3.0]]
    )  # one object: go, stop, and two that do not count
    go, stop = math.log(1 + math.exp(-2.0)), math.log(1 + math.exp(-1.0))
    plain = terms.stop_loss(logits, torch.tensor([1]))
    assert plain.item() == pytest.approx((go + stop) / 2)
    weighted = terms.stop_loss(logits, torch.tensor([1]), stop_slot_weight=3.0)
    assert weighted.item() == pytest.approx((go + 3 * stop) / 4)


def test_stop_loss_without_a_slot_left_and_without_objects():
    all_used = terms.stop_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([2]), 10.0)
    assert all_used.item() == pytest.approx(math.log(2))
    empty = terms.stop_loss(torch.tensor([[-1.0, 4.0]]), torch.tensor([0]))
    assert empty.item() == pytest.approx(math.log(1 + math.exp(-1.0)))


def test_steps_after_the_stop_get_no_gradient():
    logits = torch.zeros(1, 4, requires_grad=True)
    terms.stop_loss(logits, torch.tensor([1])).backward()
    assert (logits.grad[0] != 0).tolist() == [True, True, False, False]
