"""Shared by all tests: the package first (it makes detectron2 importable), one thread each."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import own_writes
import pytest
import torch
from hypothesis import settings

import recseg_d2  # noqa: F401  (before any detectron2 import)

ROOT = Path(__file__).parent.parent

torch.set_num_threads(1)  # tests run side by side
# What is compiled is kept, whatever the environment says: each worker collects all tests, and
# processes that tests start import the package again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
settings.register_profile("any_machine", deadline=None)  # however busy it is
settings.load_profile("any_machine")


def pytest_collection_finish() -> None:
    """All modules and tests stay to the end: the garbage collector need not look through them."""
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: packed bytes hold the time, and workers must agree on names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered across runs is the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _logs_reach_caplog() -> None:
    """A tool that ran in this process before may have taken the loggers, or quietened them."""
    for name in ("recseg_d2", "detectron2"):
        log = logging.getLogger(name)
        log.propagate = True
        log.setLevel(logging.NOTSET)


@pytest.fixture(scope="session", autouse=True)
def watched_writes() -> None:
    """Which files the package opens for writing is seen."""
    own_writes.watch()


@pytest.fixture(autouse=True)
def no_file_is_written_in_place(watched_writes: None) -> Iterator[None]:
    """Whatever a test runs of the package leaves whole files, or none."""
    own_writes.found.clear()
    yield
    assert not own_writes.found


@pytest.fixture
def root() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def tool_env() -> dict[str, str]:
    """Environment for tools started as a user starts them, on this checkout."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def official_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of every built-in data set, as $DETECTRON2_DATASETS."""
    from official import write_official

    folder = tmp_path_factory.mktemp("official") / "datasets"
    write_official(folder)
    return folder


@pytest.fixture(scope="module")
def official_data(official_root: Path) -> Iterator[Path]:
    """The built-in data sets read that copy; its folder."""
    from official import registered_at

    with registered_at(official_root):
        yield official_root
