"""A data set of two classes under a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

_numbers = count()


@pytest.fixture
def register() -> Iterator[Callable[[list[dict]], str]]:
    """Function that registers standard dicts and returns the data set's name."""
    names = []

    def _register(dicts: list[dict]) -> str:
        name = f"analysis_test_{next(_numbers)}"
        DatasetCatalog.register(name, lambda: dicts)
        MetadataCatalog.get(name).set(thing_classes=["person", "horse"])
        names.append(name)
        return name

    yield _register
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
