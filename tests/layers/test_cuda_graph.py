"""When a run is recorded, and what of it is kept. The graph is a stand-in: none is needed here."""

import copy

import pytest
import torch
from torch import nn

from recseg_d2.layers.cuda_graph import RecordedRun


class StandIn:
    """Computes what a graph has recorded, into the same memory."""

    def __init__(self, run, inputs, outputs):
        self.run, self.inputs, self.outputs = run, inputs, outputs

    def replay(self):
        self.outputs["found"].copy_(self.run(self.inputs)["found"])


@pytest.fixture
def recorded(monkeypatch):
    """The sizes of the batches that were recorded, in order."""
    sizes = []

    def record(self, images):
        sizes.append(len(images))
        inputs, outputs = images.clone(), {"found": torch.zeros_like(images)}
        return StandIn(self.run, inputs, outputs), inputs, outputs

    monkeypatch.setattr(RecordedRun, "_record", record)
    return sizes


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.recorded = RecordedRun(self.run, self.parameters)

    def run(self, images):
        return {"found": images * self.scale.detach()}


def test_each_size_is_recorded_once(recorded):
    network = Network()
    for size in (3, 3, 1, 3, 1):
        images = torch.rand(size, 2)
        assert torch.equal(network.recorded(images)["found"], images * 2)
    assert recorded == [3, 1]


def test_the_last_two_sizes_are_kept(recorded):
    network = Network()
    for size in (3, 2, 1, 2, 3):
        network.recorded(torch.rand(size, 2))
    assert recorded == [3, 2, 1, 3]


def test_results_are_not_written_over(recorded):
    network = Network()
    first = network.recorded(torch.ones(1))["found"]
    network.recorded(torch.zeros(1))
    assert first == 2


def test_weights_that_change_in_place_count(recorded):
    network = Network()
    network.recorded(torch.ones(1))
    with torch.no_grad():
        network.scale.fill_(5)
    assert network.recorded(torch.ones(1))["found"] == 5
    assert len(recorded) == 1


def test_weights_that_moved_are_recorded_anew(recorded):
    network = Network()
    network.recorded(torch.ones(1))
    network.scale.data = torch.tensor(7.0)
    assert network.recorded(torch.ones(1))["found"] == 7
    assert len(recorded) == 2


def test_a_copy_has_its_own_weights(recorded):
    network = Network()
    network.recorded(torch.ones(1))
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.scale.fill_(5)
    assert other.recorded(torch.ones(1))["found"] == 5
    assert network.recorded(torch.ones(1))["found"] == 2
