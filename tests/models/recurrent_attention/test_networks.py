import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.errors import OptionError
from recseg_d2.layers.step_norm import norm_maker
from recseg_d2.models.recurrent_attention.box_network import BoxNetwork, GlimpseLSTM
from recseg_d2.models.recurrent_attention.conv_stack import (
    ConvStep,
    DeconvStep,
    SplitInputConv,
    draw_weights,
)
from recseg_d2.models.recurrent_attention.options import BoxOptions, PatchOptions
from recseg_d2.models.recurrent_attention.segmentation_network import SegmentationNetwork

MAKE_NORM = norm_maker("per_step", 3)


def test_first_glimpse_is_uniform_and_all_sum_to_one():
    torch.manual_seed(0)
    glimpse = GlimpseLSTM(3, (2, 4), BoxOptions(hidden_width=5, glimpses=4))
    state, attention = glimpse(torch.randn(2, 3, 2, 4), None)
    assert attention.shape == (2, 4, 2, 4)
    assert torch.equal(attention[:, 0], torch.full((2, 2, 4), 1 / 8))
    torch.testing.assert_close(attention.sum((-2, -1)), torch.ones(2, 4))
    assert not torch.allclose(attention[:, 1], attention[:, 0])
    assert state[0].shape == state[1].shape == (2, 5)


def test_one_glimpse_sees_the_mean_and_a_state_can_go_on():
    torch.manual_seed(0)
    glimpse = GlimpseLSTM(3, (2, 4), BoxOptions(hidden_width=5, glimpses=1))
    features = torch.randn(2, 3, 2, 4)
    first, _ = glimpse(features, None)
    torch.testing.assert_close(first, glimpse.cell(features.mean((2, 3))))
    second, _ = glimpse(features, first)
    torch.testing.assert_close(second, glimpse.cell(features.mean((2, 3)), first))


def test_the_hoisted_convolution_equals_the_whole_one():
    torch.manual_seed(0)
    stack = SplitInputConv(3, 1, (4, 5), (2, 3), MAKE_NORM)
    static, canvas = torch.randn(2, 3, 7, 8), torch.randn(2, 1, 7, 8)
    whole = torch.cat([static, canvas], dim=1)
    for layer in stack.layers:
        whole = layer(whole, 1)
    stack.eval()  # statistics are the whole's now only up to momentum
    fast = stack(stack.prepare(static), canvas, 1)
    slow = torch.cat([static, canvas], dim=1)
    for layer in stack.layers:
        slow = layer(slow, 1)
    torch.testing.assert_close(fast, slow)
    assert fast.shape == (2, 5, 2, 2)  # 7 x 8, 4 x 4, 2 x 2: borders count


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pool", [1, 2])
def test_layers_equal_their_rows_with_scales_of_either_sign_and_ties(training, pool):
    """ReLU after the pooling, and the folded norm, change neither values nor gradients."""
    torch.manual_seed(0)
    conv, deconv = ConvStep(2, 6, pool, MAKE_NORM), DeconvStep(2, 6, 2, MAKE_NORM)
    rows = {
        conv: lambda x: F.max_pool2d(F.relu(conv.norm(conv.conv(x), 1)), pool, ceil_mode=True),
        deconv: lambda x: F.relu(deconv.norm(deconv.deconv(x), 1)),
    }
    for layer, literal in rows.items():
        layer.double().train(training)
        for numbers in (layer.norm.weight, layer.norm.bias, layer.norm.running_mean):
            numbers.data.uniform_(-1, 1)
        layer.norm.running_var.uniform_(0.5, 2)
        x = torch.randn(2, 2, 7, 8, dtype=torch.float64).round().requires_grad_()  # equal maxima
        found = []
        for run in (lambda y, own=layer: own(y, 1), literal):
            y = run(x)
            gradients = torch.autograd.grad(y.sin().sum(), [x, *layer.parameters()])
            found.append([y, *gradients])
        for fast, slow in zip(*found, strict=True):
            torch.testing.assert_close(fast, slow)


@pytest.mark.parametrize("skips", [(True,) * 3, (False, True, False), (False,) * 3])
@pytest.mark.parametrize("positive", [True, False])
def test_segmentation_network(skips, positive):
    options = PatchOptions((8, 12), (4, 5, 6), (2, 1, 2), (5, 4, 3), skips, positive)
    network = SegmentationNetwork(7, options, MAKE_NORM)
    joined = [s * w for s, w in zip(reversed(skips), (5, 4, 7), strict=True)]
    assert [d.deconv.in_channels for d in network.decoder] == [
        6, 5 + joined[0], 4 + joined[1], 3 + joined[2],
    ]  # fmt: skip
    bottleneck, heat = network(torch.randn(2, 7, 8, 12), 0)
    assert bottleneck.shape == (2, network.bottleneck_width) == (2, 6 * 2 * 3)
    assert heat.shape == (2, 8, 12)
    assert (heat.min() >= 0) == positive


def test_without_skips_the_image_reaches_the_heat_through_the_bottleneck_alone():
    torch.manual_seed(0)
    options = PatchOptions((8, 8), (4, 4), (2, 2), (4, 4), (False, False), positive=False)
    network = SegmentationNetwork(1, options, MAKE_NORM).eval()
    with torch.no_grad():
        for norm in network.encoder[-1].modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight.zero_()
    a, b = (network(torch.randn(1, 1, 8, 8), 0)[1] for _ in range(2))
    assert torch.equal(a, b)


def test_public_codes_weights():
    network = BoxNetwork(3, True, (16, 16), 7, BoxOptions(), MAKE_NORM)
    draw_weights(network, 0.01)
    weight = network.cnn.layers[1].conv.weight
    assert weight.abs().max() <= 0.02
    assert weight.std().item() == pytest.approx(0.0088, abs=0.001)  # 0.01, cut at two deviations
    cell = network.glimpse.cell
    assert cell.bias_ih[256:512].tolist() == [1.0] * 256
    assert cell.bias_ih.sum() == 256
    assert cell.bias_hh.abs().max() == 0
    assert 0 < network.linear.bias.abs().max() <= 0.02


def test_pytorchs_weights_but_for_the_forget_gates():
    network = BoxNetwork(3, True, (16, 16), 7, BoxOptions(), MAKE_NORM)
    before = network.linear.weight.clone()
    draw_weights(network, 0.0)
    assert torch.equal(network.linear.weight, before)
    assert network.glimpse.cell.bias_ih.sum() == 256


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BoxOptions(pools=(2,)), "pools is .*; expected one for each of 8 widths"),
        (lambda: BoxOptions(glimpses=0), "glimpses is 0; expected 1 or more"),
        (lambda: PatchOptions(skips=(1,)), "skips is .*; expected one for each of 6 widths"),
        (lambda: PatchOptions(size=(48, 44)), "size is .*; expected multiples of 8"),
    ],
)
def test_wrong_sizes_are_named(make, message):
    with pytest.raises(OptionError, match=message):
        make()
