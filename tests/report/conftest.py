from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from report.pages import register, write_data

NAME = "report_test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Images and label maps."""
    return write_data(tmp_path_factory.mktemp("report") / "data")


@pytest.fixture(scope="module")
def dataset(folder) -> Iterator[str]:
    """The same as a registered data set."""
    yield register(NAME, folder)
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)
