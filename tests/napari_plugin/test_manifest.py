"""The plugin's manifest: what it names is there, and npe2 takes it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
import yaml

from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.data.io.pairing import LABEL_SUFFIXES
from recseg_d2.napari_plugin import files
from recseg_d2.napari_plugin.predict import predict_objects

MANIFEST = Path(files.__file__).with_name("napari.yaml")


@pytest.fixture
def contributions():
    return yaml.safe_load(MANIFEST.read_text())["contributions"]


def test_every_command_is_a_function_and_is_used(contributions):
    commands = {command["id"]: command["python_name"] for command in contributions["commands"]}
    for place in commands.values():
        module, name = place.split(":")
        assert callable(getattr(importlib.import_module(module), name))
    used = [c["command"] for kind in ("readers", "writers", "widgets") for c in contributions[kind]]
    assert sorted(used) == sorted(commands)


def test_every_usual_name_of_a_label_map_is_read(contributions):
    (reader,) = contributions["readers"]
    for suffix in LABEL_SUFFIXES:
        assert any(fnmatch(f"a{suffix}.png", p) for p in reader["filename_patterns"]), suffix


def test_every_ending_is_written(contributions, tmp_path):
    (writer,) = contributions["writers"]
    labels = np.zeros((8, 9), np.int32)
    labels[2:5, 2:5] = 3
    for ending in writer["filename_extensions"]:
        if ending == ".zip":
            pytest.importorskip("roifile")
        path = str(tmp_path / f"a{ending}")
        assert files.write_labels(path, labels, {}) == [path]
        assert Path(path).stat().st_size


def test_the_plugin_imports_without_napari():
    code = (
        "import sys; sys.modules['napari'] = None; "
        "import recseg_d2.napari_plugin.predict, recseg_d2.napari_plugin.files"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_npe2_takes_the_manifest():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "recseg_d2"
    assert len(manifest.contributions.commands) == 3


@pytest.fixture
def plugin():
    """npe2's manager with this plugin alone."""
    npe2 = pytest.importorskip("npe2")
    manager = npe2.PluginManager()
    manager.register(npe2.PluginManifest.from_file(MANIFEST))
    manager.activate("recseg_d2")
    return manager


def test_npe2_reads_and_writes_by_it(plugin, tmp_path):
    from npe2 import io_utils

    labels = np.zeros((8, 9), np.uint8)
    labels[2:5, 2:5] = 3
    write_label_map(tmp_path / "a_label.png", labels)
    ((data, attributes, kind),) = io_utils._read(
        [str(tmp_path / "a_label.png")], stack=False, _pm=plugin
    )
    assert (kind, attributes["name"]) == ("labels", "a_label")
    np.testing.assert_array_equal(data, labels)
    (writer,) = plugin.iter_compatible_writers(["labels"])
    arguments = [str(tmp_path / "b.tif"), labels, {"name": "b"}]
    assert plugin.commands.execute(writer.command, arguments) == arguments[:1]
    assert Path(arguments[0]).is_file()


def test_napari_opens_saves_and_predicts_by_it(tmp_path):
    """napari's own model of a viewer, which needs no display."""
    components = pytest.importorskip("napari.components")
    npe2 = pytest.importorskip("npe2")
    manager = npe2.PluginManager.instance()
    if "recseg_d2" not in manager:
        manager.register(npe2.PluginManifest.from_file(MANIFEST))
    manager.activate("recseg_d2")
    labels = np.zeros((8, 9), np.uint8)
    labels[2:5, 2:5] = 3
    write_label_map(tmp_path / "a_label.png", labels)
    viewer = components.ViewerModel()
    (layer,) = viewer.open(str(tmp_path / "a_label.png"), plugin="recseg_d2")
    np.testing.assert_array_equal(layer.data, labels)
    for name in ("b.tif", "b.geojson"):
        assert layer.save(str(tmp_path / name), plugin="recseg_d2") == [str(tmp_path / name)]
    image = viewer.add_image(np.zeros((40, 50), np.uint8), name="cells", scale=(0.5, 0.5))
    data, attributes, kind = predict_objects(image)
    added = viewer._add_layer_from_data(data, attributes, kind)[0]
    assert (added.name, tuple(added.scale), added.data.shape) == (
        "cells objects",
        (0.5, 0.5),
        (40, 50),
    )
