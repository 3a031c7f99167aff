import pytest
import torch
from torch import nn

from recseg_d2.layers.step_norm import (
    EPS,
    StepBatchNorm2d,
    StepGroupNorm,
    fixed_affine,
    norm_maker,
)


def test_each_step_is_a_batch_norm_of_its_own():
    torch.manual_seed(0)
    norm = StepBatchNorm2d(3, steps=2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    plain = [nn.BatchNorm2d(3, eps=EPS) for _ in range(2)]
    for t, own in enumerate(plain):
        own.weight.data, own.bias.data = norm.weight.data[t].clone(), norm.bias.data[t].clone()
    for _ in range(2):
        for t, own in enumerate(plain):
            x = torch.randn(4, 3, 5, 5) * (t + 1) + t
            torch.testing.assert_close(norm(x, t), own(x))
    norm.eval()
    for t, own in enumerate(plain):
        torch.testing.assert_close(norm.running_mean[t], own.running_mean)
        torch.testing.assert_close(norm.running_var[t], own.running_var)
        x = torch.randn(1, 3, 2, 2)
        torch.testing.assert_close(norm(x, t), own.eval()(x))


def test_shared_statistics_serve_all_steps():
    norm = StepBatchNorm2d(2).eval()
    norm.running_mean.fill_(1.0)
    x = torch.ones(1, 2, 2, 2)
    assert norm(x, 0).abs().max() == norm(x, 7).abs().max() == 0


def test_a_step_that_was_not_run_keeps_its_statistics_and_gets_a_gradient_of_zero():
    norm = StepBatchNorm2d(2, steps=3)
    norm(torch.randn(4, 2, 3, 3) + 5, 1).square().sum().backward()
    assert norm.running_mean[[0, 2]].abs().sum() == 0
    assert norm.running_mean[1].min() > 0
    assert norm.weight.grad[[0, 2]].abs().sum() == 0
    assert norm.weight.grad[1].abs().sum() > 0


def test_it_counts_as_a_norm_for_weight_decay_and_freezing():
    norm = StepBatchNorm2d(2, steps=3)
    assert isinstance(norm, nn.BatchNorm2d)
    assert set(norm.state_dict()) >= {"weight", "bias", "running_mean", "running_var"}
    assert norm.state_dict()["running_mean"].shape == (3, 2)


@pytest.mark.parametrize("step", [2, 9])
def test_steps_beyond_the_last_set_use_that(step):
    norm = StepBatchNorm2d(1, steps=2).eval()
    norm.running_mean[1] = 3.0
    assert norm(torch.full((1, 1, 1, 1), 3.0), step).item() == pytest.approx(0, abs=1e-5)


def test_group_norm_is_that_of_torch_at_every_step():
    torch.manual_seed(0)
    norm, x = StepGroupNorm(12), torch.randn(2, 12, 3, 3)
    assert norm.num_groups == 4  # the largest number that divides 8 and 12
    torch.testing.assert_close(norm(x, 5), nn.GroupNorm(4, 12)(x))


def test_makers():
    assert norm_maker("per_step", 7)(4).steps == 7
    assert norm_maker("shared", 7)(4).steps == 1
    assert isinstance(norm_maker("group", 7)(4), StepGroupNorm)


@pytest.mark.parametrize("norm", [StepBatchNorm2d(3, steps=2), nn.BatchNorm2d(3, eps=0.1)])
@pytest.mark.parametrize("step", [0, 1, 5])
def test_a_batch_norm_in_evaluation_is_a_scale_and_a_shift(norm, step):
    torch.manual_seed(0)
    norm = norm.double()
    for numbers in (*norm.parameters(), norm.running_mean, norm.running_var):
        numbers.data.uniform_(0.5, 2)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    norm.train()
    assert fixed_affine(norm, step) is None
    norm.eval()
    scale, shift = (numbers[:, None, None] for numbers in fixed_affine(norm, step))
    wanted = norm(x, step) if isinstance(norm, StepBatchNorm2d) else norm(x)
    torch.testing.assert_close(scale * x + shift, wanted)


def test_group_norm_depends_on_its_input_in_evaluation_too():
    assert fixed_affine(StepGroupNorm(4).eval()) is None
