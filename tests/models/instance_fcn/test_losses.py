import math

import pytest
import torch

from recseg_d2.models.instance_fcn.losses import objectness_loss, proposal_mask_loss


def test_objectness_is_the_mean_over_windows():
    logits = torch.tensor([0.0, 2.0, -1.0])
    expected = (math.log(2) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 3
    loss = objectness_loss(logits, torch.tensor([True, True, False]))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_masks_are_the_mean_over_pixels_with_a_target():
    logits = torch.tensor([[[0.0, 1.0], [50.0, -3.0]]])
    targets = torch.tensor([[[1.0, 0.25], [-1.0, 0.0]]])
    quarter = 0.25 * math.log1p(math.exp(-1)) + 0.75 * math.log1p(math.exp(1))
    expected = (math.log(2) + quarter + math.log1p(math.exp(-3))) / 3
    assert proposal_mask_loss(logits, targets).item() == pytest.approx(expected, rel=1e-6)


def test_nothing_to_count_is_zero_with_a_gradient():
    logits = torch.zeros(0, 3, 3, requires_grad=True)
    loss = proposal_mask_loss(logits * 1, torch.zeros(0, 3, 3))
    loss.backward()
    assert loss.item() == 0
    unknown = proposal_mask_loss(torch.ones(1, 2, 2), torch.full((1, 2, 2), -1.0))
    assert unknown.item() == 0
    assert objectness_loss(torch.zeros(0), torch.zeros(0, dtype=torch.bool)).item() == 0


def test_gradients():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(2, 3, 3, dtype=torch.float64)
    targets[0, 0] = -1
    assert torch.autograd.gradcheck(lambda x: proposal_mask_loss(x, targets), (logits,))
