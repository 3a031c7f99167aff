"""The pre-processor against table 6, layer by layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from recseg_d2.config import load_config, read_options
from recseg_d2.errors import OptionError
from recseg_d2.models.recurrent_attention.foreground_angle import (
    ForegroundAngle,
    ForegroundAngleMaps,
)
from recseg_d2.models.recurrent_attention.options import (
    PreprocessorOptions,
    RecurrentAttentionOptions,
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

WIDTHS, SKIPS = ((4, 6), (5, 5, 8)), (-1, 2)


def small(num_classes=1, **options):
    torch.manual_seed(0)
    return ForegroundAngle(PreprocessorOptions(widths=WIDTHS, skips=SKIPS, **options), num_classes)


def test_the_layers_are_those_of_table_6():
    options = PreprocessorOptions()
    model = ForegroundAngle(options, num_classes=1)
    found = []
    for block in model.down:
        found += [(layer[0].in_channels, layer[0].out_channels) for layer in block]
    for up in reversed(model.up):
        found.append((up.grow.in_channels, up.grow.out_channels))
        found.append((up.join[0].in_channels, up.join[0].out_channels))
    found.append((model.head.in_channels, model.head.out_channels))
    assert found == TABLE_6
    assert [block[0] for block in options.widths] == [32, 64, 96, 128, 256]
    assert options.skips == (-1, -1, 1, 7, 3)  # conv3-1, conv4-7 and conv5-3


# The lists of the public code's script for Cityscapes: channels and pooling of the way down, of the
# way up, and which outputs (0 is the image) are carried to which layers (0 is the second one).
CITYSCAPES = {
    "cnn": [64, 96, 96, 128, 128, 192, 192, *[256] * 8, *[512] * 5],
    "pool": [1, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 2],
    "dcnn": [512, 512, 256, 256, 192, 192, 128, 128, 96, 96, 64, 64, 17],
    "from": [0, 2, 4, 6, 8, 17],
    "to": [0, 2, 4, 6, 8, 10],
}


def test_the_codes_network_for_cityscapes():
    cfg = load_config("ris_cityscapes_code.yaml")
    options = read_options(cfg, RecurrentAttentionOptions).preprocessor
    code, model = CITYSCAPES, ForegroundAngle(options, num_classes=8)
    down = [layer for block in model.down for layer in block]
    assert [layer[0].in_channels for layer in down] == [3, *code["cnn"][:-1]]
    assert [layer[0].out_channels for layer in down] == code["cnn"]
    ends = [i for i, pool in enumerate(code["pool"]) if pool == 2]
    assert [sum(map(len, options.widths[: b + 1])) - 1 for b in range(6)] == ends
    carried = [[3, *code["cnn"]][i] for i in code["from"]]
    inputs = [512, *code["dcnn"][:-1]]
    for layer, width in zip(code["to"], reversed(carried), strict=True):
        inputs[layer + 1] += width
    up = [conv for block in reversed(model.up) for conv in (block.grow, block.join[0])]
    assert [conv.in_channels for conv in [*up, model.head]] == inputs
    assert [conv.out_channels for conv in [*up, model.head]] == code["dcnn"]
    seen = {}
    for number, block in enumerate(model.up):
        block.register_forward_hook(lambda m, args, out, n=number: seen.update({n: args[1]}))
    layers = [torch.rand(1, 3, 64, 64)]
    with torch.no_grad():
        model.eval()(layers[0])
        for layer, pool in zip(down, code["pool"], strict=True):
            layers.append(F.max_pool2d(layer(layers[-1]), pool))
    for number, source in enumerate(code["from"]):
        torch.testing.assert_close(seen[number], layers[source])


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
    model = small(num_classes=3, semantic=True)
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


@pytest.mark.parametrize(
    ("widths", "skips", "message"),
    [
        (((4,),), (1,), r"widths is \(\(4,\),\); expected blocks of two or more"),
        ((), (), r"widths is \(\); expected blocks of two or more"),
        (((4, 4),), (3,), r"skips is \(3,\); expected -1, 0 or the number"),
        (((4, 4),), (), r"skips is \(\); expected one for each of 1 blocks"),
    ],
)
def test_widths_that_do_not_fit_are_refused(widths, skips, message):
    with pytest.raises(OptionError, match=message):
        PreprocessorOptions(widths=widths, skips=skips)
