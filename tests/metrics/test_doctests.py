from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from recseg_d2.metrics import coverage, dice, scores


@pytest.mark.parametrize("module", [coverage, dice, scores])
def test_examples_in_docstrings(module: ModuleType):
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0
