"""Convolutions with batch norm: in evaluation they are one convolution, with the same values."""

import pytest
import torch

from recseg_d2.layers.conv_blocks import ResidualBlock, conv_norm, conv_norm_relu


def with_statistics(module, seed=0):
    """The module with batch norms that have seen something."""
    torch.manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            norm.weight.data.normal_()
            norm.bias.data.normal_()
    return module


def in_turn(module, x):
    """The modules of a sequence one after another, as float64."""
    for layer in module:
        x = layer(x)
    return x


@pytest.mark.parametrize("options", [{}, {"size": 1}, {"stride": 2}, {"dilation": 2}])
@pytest.mark.parametrize("make", [conv_norm, conv_norm_relu])
def test_evaluation_equals_convolution_and_norm_in_turn(make, options):
    module = with_statistics(make(3, 5, **options)).double().eval()
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(module(x), in_turn(module, x))


def test_training_uses_the_batch_and_moves_the_statistics():
    module = with_statistics(conv_norm_relu(3, 5)).train()
    before = module[1].running_mean.clone()
    x = torch.randn(2, 3, 9, 8)
    expected = torch.relu(
        torch.nn.functional.batch_norm(
            module[0](x), None, None, module[1].weight, module[1].bias, training=True
        )
    )
    torch.testing.assert_close(module(x), expected)
    assert not torch.equal(module[1].running_mean, before)


def test_evaluation_has_the_gradients_of_convolution_and_norm():
    module = with_statistics(conv_norm(3, 5)).double().eval()
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    found = torch.autograd.grad(module(x).square().sum(), list(module.parameters()))
    expected = torch.autograd.grad(in_turn(module, x).square().sum(), list(module.parameters()))
    torch.testing.assert_close(found, expected)


def test_names_are_those_of_a_sequence():
    names = ["0.weight", "1.weight", "1.bias"]
    assert [name for name, _ in conv_norm_relu(3, 5).named_parameters()] == names


def test_a_residual_block_adds_its_input():
    block = with_statistics(ResidualBlock(4)).eval()
    x = torch.randn(1, 4, 6, 6)
    expected = torch.relu(x + in_turn(block.second, in_turn(block.first, x)))
    torch.testing.assert_close(block(x), expected)
