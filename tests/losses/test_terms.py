import math

import pytest
import torch

from recseg_d2.losses.terms import class_loss, masked_mean


def test_masked_mean_is_weighted_and_zero_where_nothing_counts():
    values = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    assert masked_mean(values, torch.tensor([1.0, 0.0, 3.0])).item() == pytest.approx(4.75)
    nothing = masked_mean(values, torch.zeros(3, dtype=torch.bool))
    nothing.backward()
    assert nothing.item() == 0.0
    assert values.grad.tolist() == [0.0, 0.0, 0.0]


def test_class_loss_by_hand():
    logits = torch.tensor([[[0.0, 0.0], [5.0, -5.0]]])
    loss = class_loss(logits, torch.tensor([[1, 0]]), torch.tensor([[True, False]]))
    assert loss.item() == pytest.approx(math.log(2))
