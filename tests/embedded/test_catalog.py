"""Catalogs of data sets and their metadata."""

from __future__ import annotations

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog


@pytest.fixture
def name():
    yield "catalog_test"
    for catalog in (DatasetCatalog, MetadataCatalog):
        if "catalog_test" in catalog:
            catalog.remove("catalog_test")


def test_registered_function_is_called_at_each_get(name):
    calls = []
    DatasetCatalog.register(name, lambda: calls.append(1) or [{"image_id": 7}])
    assert not calls
    assert DatasetCatalog.get(name) == DatasetCatalog.get(name) == [{"image_id": 7}]
    assert len(calls) == 2
    assert name in DatasetCatalog.list()


def test_names_are_unique_and_functions_callable(name):
    DatasetCatalog.register(name, list)
    with pytest.raises(AssertionError, match=name):
        DatasetCatalog.register(name, list)
    with pytest.raises(AssertionError):
        DatasetCatalog.register(name + "_2", [])


def test_unknown_dataset_is_named_with_those_that_exist(name):
    DatasetCatalog.register(name, list)
    with pytest.raises(KeyError, match=f"(?s)nobody.*{name}"):
        DatasetCatalog.get("nobody")


def test_metadata_is_one_object_per_name(name):
    metadata = MetadataCatalog.get(name)
    assert metadata is MetadataCatalog.get(name)
    assert metadata.name == name
    assert metadata.set(thing_classes=["leaf"], evaluator_type="leaf") is metadata
    assert MetadataCatalog.get(name).thing_classes == ["leaf"]
    assert metadata.as_dict() == {"name": name, "thing_classes": ["leaf"], "evaluator_type": "leaf"}


def test_metadata_cannot_be_changed(name):
    metadata = MetadataCatalog.get(name).set(thing_classes=["leaf"])
    metadata.thing_classes = ["leaf"]
    with pytest.raises(AssertionError, match="thing_classes"):
        metadata.thing_classes = ["root"]


def test_missing_metadata(name):
    metadata = MetadataCatalog.get(name)
    assert metadata.get("thing_classes") is None
    assert metadata.get("thing_classes", 3) == 3
    assert not hasattr(metadata, "thing_classes")
    with pytest.raises(AttributeError, match=name):
        _ = metadata.thing_classes
