from __future__ import annotations

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import read_image
from detectron2.utils.file_io import PathManager
from pycocotools import mask as coco_mask

from recseg_d2.data.sources.synthetic import PARTS, Rosettes, Scenes
from recseg_d2.data.synthetic.files import synthetic_path
from recseg_d2.data.synthetic.rosettes import draw_rosette
from recseg_d2.data.synthetic.scenes import SHAPE_CLASSES, draw_scene
from recseg_d2.errors import UserError


def test_builtin_names_and_metadata():
    for name in ("synthetic_rosettes_train", "synthetic_rosettes_val", "synthetic_rosettes_dev"):
        assert name in DatasetCatalog.list()
        metadata = MetadataCatalog.get(name)
        assert metadata.thing_classes == ["leaf"]
        assert metadata.evaluator_type == "label_map"
    assert len(DatasetCatalog.get("synthetic_rosettes_dev")) == 200


def test_seeds_of_the_builtin_sets_do_not_meet():
    seeds = [set(range(first, first + number)) for number, first in PARTS.values()]
    assert len(set.union(*seeds)) == sum(map(len, seeds))


def test_dicts_agree_with_the_drawing():
    (record,) = Rosettes("one", 1, first_seed=11, size=64)()
    image, labels = draw_rosette(11, 64)
    assert (record["height"], record["width"], record["image_id"]) == (64, 64, 11)
    assert len(record["annotations"]) == labels.max()
    for label, annotation in enumerate(record["annotations"], start=1):
        mask = coco_mask.decode(annotation["segmentation"])
        np.testing.assert_array_equal(mask, labels == label)
    np.testing.assert_array_equal(read_image(record["file_name"], "RGB"), image)
    np.testing.assert_array_equal(read_image(record["file_name"], "BGR"), image[..., ::-1])


def test_paths_behave_as_files():
    assert synthetic_path("rosettes", 96, 3) == "synthetic://rosettes/96/3.png"
    assert PathManager.isfile("synthetic://rosettes/96/3.png")
    assert PathManager.exists("synthetic://rosettes/96/3.png")
    for bad in ("synthetic://tulips/96/3.png", "synthetic://rosettes/96/x.png"):
        assert not PathManager.exists(bad)
        with pytest.raises(FileNotFoundError, match="synthetic://rosettes"):
            PathManager.open(bad, "rb")
    with pytest.raises(FileNotFoundError, match="mode 'w'"):
        PathManager.open("synthetic://rosettes/96/3.png", "w")
    with pytest.raises(UserError, match="at least 32 pixels"):
        PathManager.open("synthetic://rosettes/8/3.png", "rb")


def test_a_set_of_ones_own(new_name):
    name = new_name()
    Rosettes(name, 4, first_seed=7, size=40).register()
    records = DatasetCatalog.get(name)
    assert [r["image_id"] for r in records] == [7, 8, 9, 10]
    assert read_image(records[0]["file_name"], "BGR").shape == (40, 40, 3)


def test_scenes_builtin_names_and_metadata():
    for part in ("train", "val", "dev"):
        plain = MetadataCatalog.get(f"synthetic_scenes_{part}")
        assert plain.thing_classes == ["object"]
        assert plain.evaluator_type == "segment_proposal"
        classes = MetadataCatalog.get(f"synthetic_scenes_classes_{part}")
        assert classes.thing_classes == list(SHAPE_CLASSES)
        assert classes.evaluator_type == "voc_segm"


def test_both_readings_have_the_same_images_and_masks():
    plain = DatasetCatalog.get("synthetic_scenes_dev")
    classes = DatasetCatalog.get("synthetic_scenes_classes_dev")
    assert len(plain) == len(classes) == 200
    for one, other in zip(plain[:20], classes[:20], strict=True):
        assert one["image_id"] == other["image_id"]
        assert one["file_name"] == other["file_name"]
        assert {a["category_id"] for a in one["annotations"]} == {0}
        masks = [[a["segmentation"]["counts"] for a in r["annotations"]] for r in (one, other)]
        assert masks[0] == masks[1]
    assert {a["category_id"] for r in classes for a in r["annotations"]} == set(
        range(len(SHAPE_CLASSES))
    )


def test_scenes_dicts_agree_with_the_drawing():
    (record,) = Scenes("one", 1, first_seed=11, size=64)()
    image, labels, classes = draw_scene(11, 64)
    assert (record["height"], record["width"], record["image_id"]) == (64, 64, 11)
    assert [a["category_id"] for a in record["annotations"]] == classes
    for label, annotation in enumerate(record["annotations"], start=1):
        mask = coco_mask.decode(annotation["segmentation"])
        np.testing.assert_array_equal(mask, labels == label)
    np.testing.assert_array_equal(read_image(record["file_name"], "RGB"), image)


def test_scenes_paths_behave_as_files():
    assert PathManager.isfile("synthetic://scenes/128/3.png")
    assert not PathManager.exists("synthetic://scenes/128/x.png")
    with pytest.raises(UserError, match=r"scenes/8/3\.png: expected at least 48 pixels"):
        PathManager.open("synthetic://scenes/8/3.png", "rb")


def test_scenes_a_set_of_ones_own(new_name):
    name = new_name()
    Scenes(name, 3, first_seed=7, size=64, with_classes=False).register()
    records = DatasetCatalog.get(name)
    assert [r["image_id"] for r in records] == [7, 8, 9]
    assert MetadataCatalog.get(name).thing_classes == ["object"]
