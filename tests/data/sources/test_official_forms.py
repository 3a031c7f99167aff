"""Official layouts given as own data: the same images and objects as by their built-in names."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.data.sources import cityscapes, cvppp, kitti, kitti2015
from recseg_d2.data.sources.forms import Reading
from recseg_d2.data.sources.own_data import open_own_data
from recseg_d2.data.synthetic.layouts import LAYOUTS
from recseg_d2.errors import UserError

SIZE = 48


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The data sets, two images a split."""
    root = tmp_path_factory.mktemp("official")
    for name in ("cityscapes", "kitti", "kitti2015", "cvppp", "cvppp_h5"):
        if name != "cvppp_h5" or find_spec("h5py"):
            for split, seeds in (("train", [1, 2]), ("val", [3, 4])):
                LAYOUTS[name](root / name.removesuffix("_h5"), split, seeds, SIZE)
    return root


def comparable(records):
    return [
        (r["file_name"], [(a["category_id"], a["segmentation"]) for a in r["annotations"]])
        for r in records
    ]


BUILTIN = {
    "cityscapes/leftImg8bit/train": (cityscapes, "recseg_cityscapes_train"),
    "cityscapes/leftImg8bit/val": (cityscapes, "recseg_cityscapes_val"),
    "kitti/train.txt": (kitti, "recseg_kitti_train"),
    "kitti/valid_man.txt": (kitti, "recseg_kitti_val"),
    "kitti2015": (kitti2015, "recseg_kitti2015_trainval"),
    "kitti2015/training": (kitti2015, "recseg_kitti2015_trainval"),
    "cvppp/A1": (cvppp, "cvppp_a1_trainval"),
    "cvppp/CVPPP2017_training_images.h5": (cvppp, "cvppp2017_a1_trainval"),
}


@pytest.mark.parametrize("place", BUILTIN)
def test_a_folder_is_the_data_set(root, place):
    if place.endswith(".h5"):
        pytest.importorskip("h5py")
    module, name = BUILTIN[place]
    (builtin,) = [source for source in module.builtin(root) if source.name == name]
    found = open_own_data("official", root / place)
    assert comparable(found()) == comparable(builtin())
    metadata = found.metadata()
    assert metadata["evaluator_type"] == builtin.metadata()["evaluator_type"]
    with (
        pytest.raises(UserError, match=r"are for label maps")
        if place != "cvppp/A1"
        else (pytest.raises(UserError, match=r"found no label map \*_x"))
    ):
        open_own_data("official", root / place, Reading(label_suffix="_x"))


def test_of_several_parts_one_has_to_be_named(root, tmp_path):
    for place in ("cityscapes", "kitti"):
        with pytest.raises(UserError, match=r"found [23] parts of a data set: name one \(.*train"):
            open_own_data("official", root / place)
    shutil.copytree(root / "cityscapes", tmp_path / "c")
    shutil.rmtree(tmp_path / "c" / "leftImg8bit" / "val")
    only = open_own_data("official", tmp_path / "c")
    assert comparable(only()) == comparable(
        open_own_data("official", tmp_path / "c" / "leftImg8bit" / "train")()
    )


def test_streets_of_one_class_are_scored_without_classes(root):
    place = root / "cityscapes" / "leftImg8bit" / "train"
    found = open_own_data("official", place, one_class=True)
    assert found.metadata()["evaluator_type"] == "coco"
    assert {a["category_id"] for record in found() for a in record["annotations"]} == {0}


@pytest.fixture
def per_class(tmp_path):
    """An image with two leaves and a stem over them, and one with a stem alone."""
    leaves, stem = np.zeros((2, 8, 10), np.uint8)
    leaves[1:4, 1:4], leaves[5:7, 5:9] = 1, 2
    stem[2:8, 3:6] = 1
    for name, image in (("images", "a"), ("images", "b")):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.new("RGB", (10, 8)).save(tmp_path / name / f"{image}.png")
    for kind, image, labels in (("leaf", "a", leaves), ("stem", "a", stem), ("stem", "b", stem)):
        (tmp_path / "labels" / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels).save(tmp_path / "labels" / kind / f"{image}.png")
    return tmp_path, leaves, stem


def test_a_label_map_a_class(per_class):
    place, leaves, stem = per_class
    found = open_own_data("class_maps", place)
    first, second = found()
    assert found.metadata()["thing_classes"] == ["leaf", "stem"]
    masks = [decode_segmentation(a["segmentation"], (8, 10), "a") for a in first["annotations"]]
    for mask, expected in zip(masks, (leaves == 1, leaves == 2, stem), strict=True):
        np.testing.assert_array_equal(mask, expected)
    assert [a["category_id"] for a in first["annotations"]] == [0, 0, 1]
    assert [a["category_id"] for a in second["annotations"]] == [1]


def test_label_maps_of_classes_that_are_wrong_are_named(per_class):
    place = per_class[0]
    Image.new("L", (9, 8)).save(place / "labels" / "stem" / "b.png")
    with pytest.raises(UserError, match=r"b\.png: found 9x8 pixels, expected the 10x8 of"):
        open_own_data("class_maps", place)()
    (place / "labels" / "stem" / "b.png").unlink()
    with pytest.raises(UserError, match=r"b\.png: found no label map, expected one in a folder"):
        open_own_data("class_maps", place)()
    Image.new("L", (10, 8)).save(place / "labels" / "stem" / "c.png")
    with pytest.raises(UserError, match=r"c\.png: found no image of its name"):
        open_own_data("class_maps", place)()
