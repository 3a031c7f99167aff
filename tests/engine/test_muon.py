import copy

import pytest
import torch

from recseg_d2.engine.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(6, 6), (4, 30), (30, 4)])
def test_singular_values_come_near_one_and_the_directions_stay(shape):
    torch.manual_seed(0)
    matrix = torch.randn(*shape, dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalise(matrix)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3
    # the quintic acts on singular values alone
    torch.testing.assert_close(u.T @ found @ v.T, torch.diag(torch.diag(u.T @ found @ v.T)))
    assert s.max() / s.min() > 1.5


def test_a_step_equals_the_literal_one():
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(5, 3, 2, 2))
    optimiser = Muon(
        [{"params": [weight], "matrices": True, "lr": 0.1, "weight_decay": 0.2}], lr=1.0
    )
    expected, average = weight.detach().clone(), torch.zeros(5, 12)
    for _ in range(3):
        gradient = torch.randn(5, 3, 2, 2)
        weight.grad = gradient.clone()
        optimiser.step()
        average = 0.95 * average + 0.05 * gradient.reshape(5, 12)
        ahead = 0.05 * gradient.reshape(5, 12) + 0.95 * average
        expected = expected * (1 - 0.1 * 0.2) - 0.1 * orthogonalise(ahead).reshape(5, 3, 2, 2)
    torch.testing.assert_close(weight.detach(), expected)


def test_tall_matrices_take_larger_steps():
    weight = torch.nn.Parameter(torch.zeros(16, 4))
    weight.grad = torch.eye(16, 4)
    Muon([{"params": [weight], "matrices": True, "weight_decay": 0.0}], lr=1.0).step()
    torch.testing.assert_close(weight.detach(), -2 * orthogonalise(torch.eye(16, 4)))


def test_other_groups_are_adamw():
    torch.manual_seed(2)
    start = torch.randn(4, 4)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    matrix = torch.nn.Parameter(torch.randn(4, 4))
    one = Muon([{"params": [ours]}, {"params": [matrix], "matrices": True}], lr=0.01)
    other = torch.optim.AdamW([theirs], lr=0.01)
    for _ in range(3):
        ours.grad = torch.randn(4, 4)
        theirs.grad = ours.grad.clone()
        matrix.grad = torch.randn(4, 4)
        one.step()
        other.step()
    torch.testing.assert_close(ours, theirs)


def test_it_goes_on_from_its_state():
    torch.manual_seed(3)
    weights = [torch.nn.Parameter(torch.randn(4, 6)) for _ in range(2)]
    groups = lambda ps: [{"params": [ps[0]], "matrices": True}, {"params": [ps[1]]}]  # noqa: E731
    optimiser = Muon(groups(weights), lr=0.02)
    gradients = torch.randn(4, 2, 4, 6)
    for step in range(2):
        for weight, gradient in zip(weights, gradients[step], strict=True):
            weight.grad = gradient
        optimiser.step()
    copies = [torch.nn.Parameter(w.detach().clone()) for w in weights]
    resumed = Muon(groups(copies), lr=0.02)
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    for step in range(2, 4):
        for ps, one in ((weights, optimiser), (copies, resumed)):
            for weight, gradient in zip(ps, gradients[step], strict=True):
                weight.grad = gradient
            one.step()
    for weight, own in zip(weights, copies, strict=True):
        torch.testing.assert_close(weight, own, rtol=0, atol=0)
