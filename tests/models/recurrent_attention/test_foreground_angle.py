"""The pre-processor against table 6, layer by layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from recseg_d2.models.recurrent_attention.foreground_angle import (
    PAPER_SKIPS,
    PAPER_WIDTHS,
    ForegroundAngle,
    ForegroundAngleMaps,
)

# Table 6's "Spec" column, the layer's input x output channels, from conv1-1 to deconv10-3. The
# decoder's rows are printed output x input.
TABLE_6 = [
    *((3, 32), (32, 64), (64, 64), (64, 96), (96, 96), (96, 128)),
    *((128, 128),) * 7,
    *((128, 256), (256, 256), (256, 256), (256, 256), (256, 512)),
    *((512, 256), (512, 256), (256, 128), (256, 128), (128, 96), (192, 96)),
    *((96, 64), (64, 64), (64, 32), (32, 32), (35, 9)),
]

WIDTHS, SKIPS = ((4, 6), (5, 5, 8)), (False, True)


def small(**options):
    torch.manual_seed(0)
    return ForegroundAngle(WIDTHS, SKIPS, **options)


def test_the_layers_are_those_of_table_6():
    model = ForegroundAngle()
    found = []
    for block in model.down:
        found += [(layer[0].in_channels, layer[0].out_channels) for layer in block]
    for up in reversed(model.up):
        found.append((up.grow.in_channels, up.grow.out_channels))
        found.append((up.join[0].in_channels, up.join[0].out_channels))
    found.append((model.head.in_channels, model.head.out_channels))
    assert found == TABLE_6
    assert [block[0] for block in PAPER_WIDTHS] == [32, 64, 96, 128, 256]
    assert PAPER_SKIPS == (False, False, True, True, True)


def literal(model, image):
    """Table 6 for two blocks, a row a line; batch norm with the layer's own module."""

    def layer(module, x):
        return F.relu(module[1](F.conv2d(x, module[0].weight, padding=1)))

    def grow(up, x):
        return F.relu(
            up.grow_norm(F.conv_transpose2d(x, up.grow.weight, None, 2, 1, output_padding=1))
        )

    c11 = layer(model.down[0][0], image)
    c12 = layer(model.down[0][1], c11)
    pool1 = F.max_pool2d(c12, 2)
    c21 = layer(model.down[1][0], pool1)
    c22 = layer(model.down[1][1], c21)
    c23 = layer(model.down[1][2], c22)
    pool2 = F.max_pool2d(c23, 2)
    d31 = grow(model.up[1], pool2)
    d32 = layer(model.up[1].join, torch.cat([d31, c22], 1))
    d41 = grow(model.up[0], d32)
    d42 = layer(model.up[0].join, d41)
    return F.conv2d(torch.cat([d42, image], 1), model.head.weight, model.head.bias, padding=1)


@pytest.mark.parametrize("training", [True, False])
def test_it_computes_the_rows_one_after_another(training):
    model = small().double().train(training)
    image = torch.rand(2, 3, 12, 8, dtype=torch.float64)
    maps = model(image)
    expected = literal(model, image)
    torch.testing.assert_close(maps.foreground_logits, expected[:, :1])
    torch.testing.assert_close(maps.angle_logits, expected[:, 1:])


@pytest.mark.parametrize("size", [(12, 8), (7, 13), (1, 1)])
def test_any_size_comes_out_as_it_went_in(size):
    maps = small().eval()(torch.rand(2, 3, *size))
    assert maps.foreground_logits.shape == (2, 1, *size)
    assert maps.angle_logits.shape == (2, 8, *size)


def test_classes_and_channels():
    model = small(num_classes=3)
    maps = model(torch.rand(2, 3, 8, 8))
    assert maps.foreground_logits.shape == (2, 4, 8, 8)
    torch.testing.assert_close(maps.foreground().sum(1), torch.ones(2, 8, 8))
    torch.testing.assert_close(maps.angles().sum(1), torch.ones(2, 8, 8))
    assert maps.channels().shape == (2, model.out_width, 8, 8)
    torch.testing.assert_close(maps.channels()[:, :8], maps.angles())


def test_without_angles_their_parameters_do_not_exist():
    model = small(angle=False)
    maps = model(torch.rand(1, 3, 8, 8))
    assert maps.angle_logits is None
    assert maps.angles() is None
    assert maps.channels().shape == (1, 1, 8, 8)
    assert model.head.out_channels == model.out_width == 1
    with_angles = sum(p.numel() for p in small().parameters())
    assert sum(p.numel() for p in model.parameters()) == with_angles - 8 * ((4 + 3) * 9 + 1)


def test_one_channel_is_a_sigmoid():
    logits = torch.tensor([0.0, 2.0]).view(1, 1, 1, 2)
    maps = ForegroundAngleMaps(logits)
    torch.testing.assert_close(maps.foreground(), logits.sigmoid())


def test_every_parameter_gets_a_gradient():
    model = small()
    maps = model(torch.rand(2, 3, 8, 8))
    (maps.foreground_logits.square().sum() + maps.angle_logits.square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.parametrize(("widths", "skips"), [(((4,),), (True,)), (((4, 4),), ()), ((), ())])
def test_widths_that_do_not_fit_are_refused(widths, skips):
    with pytest.raises(ValueError, match="expected one or more blocks"):
        ForegroundAngle(widths, skips)
