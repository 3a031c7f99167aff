"""Names in the catalogs that live as long as one test, and real images where they are at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from recseg_d2.data.catalog import unregister

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
        unregister(name)


@pytest.fixture
def voc2007(root) -> Path:
    """44 images of Pascal VOC 2007 with their masks."""
    return _at_hand(root, "voc2007_sample")


@pytest.fixture
def coco_sample(root) -> Path:
    """80 images of COCO's train2017 and 79 of val2017, in COCO's layout."""
    return _at_hand(root, "coco_sample")


def _at_hand(root: Path, name: str) -> Path:
    folder = root.parent / "shared" / "data" / name
    if not folder.is_dir():
        pytest.skip(f"the sample images are not at hand: {folder}")
    return folder
