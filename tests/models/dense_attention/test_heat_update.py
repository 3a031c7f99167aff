import numpy as np
import pytest
import torch

from recseg_d2.models.dense_attention.canvas import canvas_channels
from recseg_d2.models.dense_attention.heat import HeatMap, heat_peaks
from recseg_d2.models.dense_attention.heat_update import HeatUpdate, changed_regions


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = HeatMap(8, 12, 8)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@torch.no_grad()
def test_what_is_computed_anew_equals_computing_everything(network):
    rng = np.random.default_rng(0)
    size = (320, 448)
    features = network.prepare(torch.randn(1, 8, 160, 224), torch.randn(1, 12, 40, 56))
    labels = torch.zeros(1, *size, dtype=torch.int32)
    update = HeatUpdate(network, features)
    update(canvas_channels(labels), [])
    for k in range(6):
        y, x = rng.integers(0, size[0] - 30), rng.integers(0, size[1] - 30)
        if k == 0:
            y, x = 0, 0
        if k == 1:
            y, x = size[0] - 30, size[1] - 30
        part = slice(y, y + 30), slice(x, x + 30)
        labels[0][part] = k + 1
        canvas = canvas_channels(labels)
        found = update(canvas, [part])
        whole = network(features, canvas)[0].sigmoid()
        torch.testing.assert_close(found, whole, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_change_reaches_heat_nearby(network):
    features = network.prepare(torch.randn(1, 8, 64, 64), torch.randn(1, 12, 16, 16))
    labels = torch.zeros(1, 128, 128, dtype=torch.int32)
    before = network(features, canvas_channels(labels))
    labels[0, 60:70, 60:70] = 1
    changed = (network(features, canvas_channels(labels)) != before)[0].nonzero() * 2
    assert changed.min() >= 60 - 32
    assert changed.max() < 70 + 32
    assert len(changed) > 25


def test_regions_hold_the_reach_of_each_change():
    size = torch.Size([1024, 1024])
    regions = changed_regions([(slice(100, 110), slice(500, 530))], size)
    assert regions == [(slice(64, 192), slice(448, 576))]


def test_far_changes_have_regions_of_their_own_and_many_are_the_whole_image():
    size = torch.Size([1024, 1024])
    corners = [(slice(0, 5), slice(0, 5)), (slice(1000, 1010), slice(1000, 1024))]
    assert changed_regions(corners, size) == [
        (slice(0, 64), slice(0, 64)),
        (slice(960, 1024), slice(960, 1024)),
    ]
    everywhere = [(slice(0, 900), slice(0, 900))]
    assert changed_regions(everywhere, size) == [(slice(0, 1024), slice(0, 1024))]
    assert changed_regions([], size) == []


def test_peaks_are_the_largest_around():
    heat = torch.zeros(12, 12)
    heat[2, 2], heat[3, 4], heat[9, 9], heat[0, 11] = 0.9, 0.8, 0.5, 0.1
    assert heat_peaks(heat, 0.2).nonzero().tolist() == [[2, 2], [9, 9]]


@pytest.mark.parametrize("size", [(1, 1), (3, 20), (40, 33)])
def test_peaks_equal_max_pooling(size):
    torch.manual_seed(0)
    heat = (torch.rand(size) * 20).round() / 20  # with ties, all of which are peaks
    around = torch.nn.functional.max_pool2d(heat[None, None], 7, 1, 3)[0, 0]
    assert torch.equal(heat_peaks(heat, 0.3), (heat == around) & (heat >= 0.3))
    both = torch.stack([heat, heat.flip(0)])
    assert torch.equal(heat_peaks(both, 0.3), torch.stack([heat_peaks(h, 0.3) for h in both]))
