"""Compiled steps compute what plain ones do, and only where nothing is trained.

torch.compile's backend "eager" traces and guards without writing code, which is quick.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from recseg_d2.layers import compiled
from recseg_d2.layers.compiled import CompiledStep, missing_compiler


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.traced = 0
        self.run = CompiledStep(self._step)

    def _step(self, x: torch.Tensor, t: int) -> torch.Tensor:
        if torch.compiler.is_compiling():
            return x * self.scale + t
        self.traced += 1
        return x * self.scale + t


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_in_inference_a_step_is_compiled():
    network = Network()
    with torch.no_grad(), network.run.inference():
        found = [network.run(torch.ones(2), t) for t in range(3)]
    assert [x.tolist() for x in found] == [[1, 1], [2, 2], [3, 3]]
    assert network.traced == 0


def test_with_gradient_it_runs_as_it_stands():
    network = Network()
    with network.run.inference():
        network.run(torch.ones(2), 1).sum().backward()
    assert network.traced == 1
    assert network.scale.grad == 2


def test_outside_of_inference_too():
    network = Network()
    with torch.no_grad():
        network.run(torch.ones(2), 1)
    assert network.traced == 1


def test_a_copy_has_its_own_weights():
    network = Network()
    with torch.no_grad():
        with network.run.inference():
            network.run(torch.ones(1), 0)
        other = copy.deepcopy(network)
        other.scale.fill_(5)
        with network.run.inference(), other.run.inference():
            assert other.run(torch.ones(1), 0) == 5
            assert network.run(torch.ones(1), 0) == 1


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("CXX", "no_such_compiler")
    assert missing_compiler(torch.device("cpu")) == "a C++ compiler (no_such_compiler)"
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda name: None)
    assert missing_compiler(torch.device("cuda")) == "the Python package triton"
