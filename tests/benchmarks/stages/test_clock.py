"""A clock of whole numbers: every reading is one more than the last."""

from __future__ import annotations

import sys
from itertools import count
from types import ModuleType

import pytest
from torch import nn

from benchmarks.stages.clock import StageClock


def ticking() -> StageClock:
    numbers = count()
    return StageClock(lambda: next(numbers))


def test_a_stage_within_another_counts_for_itself_alone():
    clock = ticking()
    with clock.of("all"), clock.of("outer"):  # readings 0 and 1
        with clock.of("inner"):  # 2 and 3
            pass
        with clock.of("outer"):  # 4 and 5
            pass
    # 6 and 7
    assert clock.spent == {"all": 2, "outer": 4, "inner": 1}
    assert clock.spent.total() == 7


def test_time_between_two_wholes_belongs_to_nobody():
    clock = ticking()
    for _ in range(2):
        with clock.of("all"):
            pass
    assert clock.spent == {"all": 2}


def test_an_error_closes_its_stages():
    clock = ticking()
    with pytest.raises(ValueError, match="no"), clock.of("all"), clock.of("inner"):
        raise ValueError("no")
    with clock.of("all"):
        pass
    assert clock.spent == {"all": 3, "inner": 1}


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Identity()
        self.absent = None

    def forward(self, x: int) -> int:
        return self.helper(self.part(x))

    def helper(self, x: int) -> int:
        return x + 1


PLACES = {
    "network": ("model.forward",),
    "part": ("model.part.forward", "model.absent.forward", "model.absent.part.forward"),
    "helper": ("stage_clock_example.Network.helper",),
}


@pytest.fixture
def example(monkeypatch):
    module = ModuleType("stage_clock_example")
    module.Network = Network
    monkeypatch.setitem(sys.modules, "stage_clock_example", module)
    return Network()


def test_functions_count_for_their_stages_while_it_lasts(example):
    clock = ticking()
    with clock.at(PLACES, model=example), clock.of("rest"):
        assert example(1) == 2
    assert clock.spent == {"rest": 2, "network": 3, "part": 1, "helper": 1}
    before = dict(clock.spent)
    assert example(1) == 2
    assert clock.spent == before


def test_what_was_there_is_put_back(example):
    def literal(x: int) -> int:
        return 10 * x

    example.part.forward = literal
    helper = Network.helper
    with ticking().at(PLACES, model=example):
        assert example(1) == 11
    assert example.part.forward is literal
    assert Network.helper is helper
    assert "forward" not in vars(example)


@pytest.mark.parametrize("name", ["model.nowhere", "model.nowhere.forward", "torch.nowhere"])
def test_a_function_that_is_not_there_is_an_error(name, example):
    places = ticking().at({"a": (name,)}, model=example)
    with pytest.raises(AttributeError, match="nowhere"), places:
        pass
