"""Small registered data sets for the evaluator tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.annotations import label_map_to_annotations

TRUTH = {
    "a": np.array([[1, 1, 2, 2, 0, 0]] * 4),
    "b": np.array([[0, 0, 0, 7, 7], [0, 0, 0, 7, 7]]),
    "c": np.zeros((3, 3), dtype=np.int64),
}
_numbers = count()


def standard_dicts(label_maps: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Detectron2's standard dicts of label maps by stem, ``image_id`` counting from 100."""
    return [
        {
            "file_name": f"images/{stem}.png",
            "image_id": 100 + k,
            "height": labels.shape[0],
            "width": labels.shape[1],
            "annotations": label_map_to_annotations(labels),
        }
        for k, (stem, labels) in enumerate(label_maps.items())
    ]


@pytest.fixture
def truth() -> dict[str, np.ndarray]:
    """Label maps: two objects, one at the border with label 7, none."""
    return TRUTH


@pytest.fixture
def register() -> Iterator[Any]:
    """Function that registers standard dicts (default: of ``truth``) and returns the name."""
    names = []

    def _register(dicts: list[dict[str, Any]] | None = None, **metadata: Any) -> str:
        name = f"evaluation_test_{next(_numbers)}"
        records = standard_dicts(TRUTH) if dicts is None else dicts
        DatasetCatalog.register(name, lambda: records)
        MetadataCatalog.get(name).set(thing_classes=["thing"], **metadata)
        names.append(name)
        return name

    yield _register
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
