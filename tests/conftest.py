"""Shared by all tests: the package first (it makes detectron2 importable), one thread each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import recseg_d2  # noqa: F401  (before any detectron2 import)

ROOT = Path(__file__).parent.parent

torch.set_num_threads(1)  # tests run side by side


@pytest.fixture
def root() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture
def tool_env() -> dict[str, str]:
    """Environment for tools started as a user starts them, on this checkout."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
