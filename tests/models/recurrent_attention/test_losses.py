import math

import pytest
import torch
from torch.autograd import gradcheck

from recseg_d2.models.recurrent_attention.losses import matching_iou_loss, monotonic_score_loss


def test_matching_loss_by_hand():
    iou = torch.tensor([[[0.9, 0.1], [0.2, 0.6]], [[0.5, 0.0], [0.3, 0.0]]])
    assignment = torch.tensor([[0, 1], [0, -1]])
    loss = matching_iou_loss(iou, assignment, torch.tensor([2, 1]))
    assert loss.item() == pytest.approx(((1 - 1.5 / 2) + (1 - 0.5)) / 2)


def test_objects_without_a_step_count_as_missed():
    loss = matching_iou_loss(torch.ones(1, 1, 4), torch.tensor([[2]]), torch.tensor([4]))
    assert loss.item() == pytest.approx(0.75)


def test_an_image_without_objects_is_perfect_and_has_a_gradient_path():
    iou = torch.rand(2, 3, 1, requires_grad=True)
    loss = matching_iou_loss(iou, torch.full((2, 3), -1), torch.tensor([0, 0]))
    loss.backward()
    assert loss.item() == 0
    assert iou.grad.abs().sum() == 0


def literal_score_loss(scores, found):
    """Eq. 27, a step at a time."""
    total = 0.0
    for s, target in zip(scores.tolist(), found.tolist(), strict=True):
        for t in range(len(s)):
            if target[t]:
                total -= math.log(min(s[: t + 1]))
            else:
                total -= math.log(1 - max(s[t:]))
    return total / scores.numel()


def test_score_loss_equals_the_papers_sum():
    torch.manual_seed(0)
    logits = torch.randn(3, 6, dtype=torch.float64)
    found = torch.arange(6)[None] < torch.tensor([[0], [4], [6]])
    expected = literal_score_loss(logits.sigmoid(), found)
    assert monotonic_score_loss(logits, found).item() == pytest.approx(expected)


def test_score_loss_by_hand():
    # s = .9 .6 .8 | .1 .3 with three objects: minima .9 .6 .6, maxima .3 .3
    logits = torch.logit(torch.tensor([[0.9, 0.6, 0.8, 0.1, 0.3]], dtype=torch.float64))
    found = torch.tensor([[True, True, True, False, False]])
    expected = -(math.log(0.9) + 2 * math.log(0.6) + 2 * math.log(0.7)) / 5
    assert monotonic_score_loss(logits, found).item() == pytest.approx(expected)


def test_each_image_counts_its_own_steps_as_if_it_were_alone():
    torch.manual_seed(0)
    logits = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    found = torch.arange(5)[None] < torch.tensor([[0], [2], [5]])
    lengths = torch.tensor([1, 3, 6])  # of the last, more than there are steps
    loss = monotonic_score_loss(logits, found, lengths)
    alone = [
        literal_score_loss(logits[i : i + 1, :n].sigmoid(), found[i : i + 1, :n])
        for i, n in enumerate((1, 3, 5))
    ]
    assert loss.item() == pytest.approx(sum(alone) / 3)
    loss.backward()
    assert logits.grad[0, 1:].abs().max() == 0
    assert logits.grad[1, 3:].abs().max() == 0


def test_score_loss_of_saturated_scores_is_finite():
    logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    loss = monotonic_score_loss(logits, torch.tensor([[True, False]]))
    loss.backward()
    assert loss.item() == pytest.approx(200.0)
    assert logits.grad.tolist() == [[-0.5, 0.5]]


def test_gradients():
    torch.manual_seed(0)
    logits = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    found = torch.tensor([[True, True, False, False, False], [True, False, True, False, False]])
    assert gradcheck(lambda x: monotonic_score_loss(x, found), (logits,))
    iou = torch.rand(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assignment = torch.tensor([[1, 0, -1], [0, -1, -1]])
    assert gradcheck(lambda x: matching_iou_loss(x, assignment, torch.tensor([2, 1])), (iou,))
