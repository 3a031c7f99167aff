from __future__ import annotations

from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.catalog import check_registered, datasets_root, unregister
from recseg_d2.errors import UserError


def test_names_are_checked_and_taken_out(new_name):
    name = new_name()
    with pytest.raises(UserError, match=rf"^--set: found '{name}', expected a registered data set"):
        check_registered(name, "--set")
    DatasetCatalog.register(name, list)
    MetadataCatalog.get(name).set(thing_classes=["a"])
    check_registered(name, "--set")
    unregister(name)
    unregister(name)  # nothing is there any more
    assert name not in DatasetCatalog.list()
    assert name not in MetadataCatalog.list()


def test_messages_list_the_names_of_a_kind():
    with pytest.raises(UserError, match=r"data set: (cvppp\w+, )*cvppp\w+\.$"):
        check_registered("gone", "--set", prefix="cvppp")


def test_the_folder_of_all_data_sets(monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", "there")
    assert datasets_root() == Path("there")
    monkeypatch.delenv("DETECTRON2_DATASETS")
    assert datasets_root() == Path("datasets")
