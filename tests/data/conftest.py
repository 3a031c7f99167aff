"""Names in the catalogs that live as long as one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

_NUMBERS = count()


@pytest.fixture
def new_name() -> Iterator[Callable[[], str]]:
    """Makes unused data set names, and takes what is registered under them out again."""
    made: list[str] = []

    def make() -> str:
        made.append(f"data_test_{next(_NUMBERS)}")
        return made[-1]

    yield make
    for name in made:
        if name in DatasetCatalog.list():
            DatasetCatalog.remove(name)
        if name in MetadataCatalog.list():
            MetadataCatalog.remove(name)
