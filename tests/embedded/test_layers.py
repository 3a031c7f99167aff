"""Convolutions and frozen batch norm, on either Detectron2."""

from __future__ import annotations

import pytest
import torch
from detectron2.layers import (
    CNNBlockBase,
    Conv2d,
    FrozenBatchNorm2d,
    ShapeSpec,
    get_norm,
)
from torch import nn


def trained_norm(channels: int = 3) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-3)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        nn.init.uniform_(tensor, 0.5, 2.0)
    return norm.eval()


def test_frozen_norm_is_the_identity_at_first():
    x = torch.randn(2, 3, 4, 4)
    assert torch.allclose(FrozenBatchNorm2d(3)(x), x, atol=1e-6)
    assert not list(FrozenBatchNorm2d(3).parameters())


@pytest.mark.parametrize("requires_grad", [False, True])
def test_frozen_norm_equals_the_norm_that_it_was(requires_grad):
    norm = trained_norm()
    frozen = FrozenBatchNorm2d.convert_frozen_batchnorm(norm)
    x = torch.randn(2, 3, 4, 4, requires_grad=requires_grad)
    assert torch.allclose(frozen.train()(x), norm(x), atol=1e-6)
    assert frozen.eps == norm.eps


def test_conversion_reaches_every_depth_and_copies():
    inner = trained_norm()
    module = nn.Sequential(
        nn.Conv2d(3, 3, 1), nn.Sequential(inner, nn.BatchNorm2d(3, affine=False))
    )
    converted = FrozenBatchNorm2d.convert_frozen_batchnorm(module)
    assert converted is module
    assert all(isinstance(layer, FrozenBatchNorm2d) for layer in module[1])
    inner.weight.data.zero_()
    assert (module[1][0].weight != 0).all()
    assert (module[1][1].weight == 1).all()


def test_frozen_norm_keeps_half_precision():
    x = torch.randn(1, 3, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    assert FrozenBatchNorm2d(3)(x).dtype == torch.bfloat16


def test_norms_by_name():
    assert get_norm("", 4) is None
    assert get_norm(None, 4) is None
    kinds = {"BN": nn.BatchNorm2d, "SyncBN": nn.SyncBatchNorm, "FrozenBN": FrozenBatchNorm2d}
    for name, kind in kinds.items():
        assert isinstance(get_norm(name, 4), kind)
    assert get_norm("GN", 64).num_groups == 32
    assert isinstance(get_norm(nn.InstanceNorm2d, 4), nn.InstanceNorm2d)
    with pytest.raises(KeyError):
        get_norm("unknown", 4)


def test_conv_norm_activation_run_in_this_order():
    conv = Conv2d(1, 1, 1, bias=False, norm=trained_norm(1), activation=torch.relu)
    x = torch.randn(2, 1, 3, 3)
    expected = torch.relu(conv.norm(nn.functional.conv2d(x, conv.weight)))
    assert torch.allclose(conv(x), expected)
    assert {"weight", "norm.weight"} <= set(conv.state_dict())


def test_a_frozen_block_is_not_trained():
    block = CNNBlockBase(1, 1, stride=1)
    block.conv = Conv2d(1, 1, 1, norm=nn.BatchNorm2d(1))
    assert block.freeze() is block
    assert not any(p.requires_grad for p in block.parameters())
    assert isinstance(block.conv.norm, FrozenBatchNorm2d)


def test_shapes_default_to_unknown():
    assert ShapeSpec(channels=3) == ShapeSpec(3, None, None, None)
