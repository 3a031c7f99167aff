from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import read_image
from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.mapper import InstanceMapper
from recseg_d2.data.sources.cityscapes import Cityscapes
from recseg_d2.data.sources.instance_ids import LABEL_IDS, STREET_CLASSES
from recseg_d2.data.synthetic.layouts import export_dataset
from recseg_d2.data.synthetic.streets import draw_street
from recseg_d2.data.validation import check_dataset_dicts
from recseg_d2.errors import UserError

HEIGHT, SIZE = 48, (48, 96)
TRAIN, VAL = [3, 0, 7], [11, 12]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("streets") / "cityscapes"
    export_dataset("cityscapes", out, TRAIN, VAL, HEIGHT)
    return out


@pytest.fixture
def copy(root, tmp_path):
    """A data set to damage."""
    return shutil.copytree(root, tmp_path / "cityscapes")


def small_config():
    cfg = get_recseg_cfg()
    cfg.INPUT.FORMAT = "RGB"
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = SIZE
    cfg.MODEL.NUM_CLASSES = 8
    cfg.MODEL.SEQUENTIAL.STEPS = 50
    return cfg


def load(new_name, root, split):
    name = new_name()
    Cityscapes(name, root, split).register()
    return DatasetCatalog.get(name)


def drawn_objects(ids):
    """(id, category, crowd) of what is an object, by the benchmark's definition."""
    objects = []
    for value in np.unique(ids).tolist():
        label = value // 1000 if value >= 1000 else value
        if label in LABEL_IDS:
            objects.append((value, LABEL_IDS.index(label), int(value < 1000)))
    return objects


def seeds_by_city(seeds):
    """The layout gives images to two cities in turn; the loader goes through city by city."""
    return seeds[0::2] + seeds[1::2]


@pytest.mark.parametrize(("split", "seeds"), [("train", TRAIN), ("val", VAL)])
def test_annotations_are_what_was_drawn(root, new_name, split, seeds):
    records = load(new_name, root, split)
    check_dataset_dicts(records, split, len(STREET_CLASSES))
    for record, seed in zip(records, seeds_by_city(seeds), strict=True):
        street = draw_street(seed, SIZE)
        expected = drawn_objects(street.ids)
        found = [(a["category_id"], a["iscrowd"]) for a in record["annotations"]]
        assert found == [(category, crowd) for _, category, crowd in expected]
        for annotation, (value, _, _) in zip(record["annotations"], expected, strict=True):
            mask = coco_mask.decode(annotation["segmentation"])
            np.testing.assert_array_equal(mask, street.ids == value)
        np.testing.assert_array_equal(read_image(record["file_name"], "RGB"), street.image)


def test_there_are_crowds_and_classes_without_objects_to_leave_out():
    streets = [draw_street(seed, SIZE) for seed in TRAIN + VAL]
    values = set(np.unique(np.concatenate([s.ids.ravel() for s in streets])).tolist())
    assert values & set(LABEL_IDS)
    assert any(v // 1000 == 29 for v in values)


def test_a_mapped_sample_has_the_masks_that_were_drawn(root, new_name):
    mapper = InstanceMapper(small_config(), is_train=False)
    record, seed = load(new_name, root, "train")[0], TRAIN[0]
    instances = mapper(record)["instances"]
    ids = draw_street(seed, SIZE).ids
    expected = [(value, category) for value, category, crowd in drawn_objects(ids) if not crowd]
    assert instances.gt_classes.tolist() == [category for _, category in expected]
    for mask, (value, _) in zip(instances.gt_masks.tensor.numpy(), expected, strict=True):
        np.testing.assert_array_equal(mask, ids == value)


def test_the_evaluators_files_are_named(root, new_name):
    record = load(new_name, root, "val")[0]
    stem = "frankfurt_000000_000019"
    assert record["image_id"] == stem
    assert record["file_name"] == f"{root}/leftImg8bit/val/frankfurt/{stem}_leftImg8bit.png"
    ids = f"{root}/gtFine/val/frankfurt/{stem}_gtFine_instanceIds.png"
    assert record["instance_ids_file"] == ids
    street = draw_street(VAL[0], SIZE)
    np.testing.assert_array_equal(np.asarray(Image.open(ids)), street.ids)
    np.testing.assert_array_equal(
        np.asarray(Image.open(record["disparity_file"])), street.disparity
    )
    with open(record["camera_file"]) as file:
        assert json.load(file) == street.camera


def test_disparity_is_optional(copy, new_name):
    shutil.rmtree(copy / "disparity")
    records = load(new_name, copy, "train")
    assert all("disparity_file" not in r and "camera_file" in r for r in records)


def test_the_test_set_has_images_alone(root, new_name):
    records = load(new_name, root, "test")
    assert [r["image_id"] for r in records] == ["berlin_000000_000019", "bonn_000001_000019"]
    assert all("annotations" not in r and "instance_ids_file" not in r for r in records)
    assert not (root / "gtFine" / "test").exists()


def test_callers_may_change_what_they_get(root, new_name):
    name = new_name()
    Cityscapes(name, root, "val").register()
    first = DatasetCatalog.get(name)
    first[0]["annotations"][0]["category_id"] = 99
    first[0]["annotations"].clear()
    assert DatasetCatalog.get(name)[0]["annotations"][0]["category_id"] in range(8)


def test_builtin_names_and_metadata():
    for split in ("train", "val", "test"):
        metadata = MetadataCatalog.get(f"recseg_cityscapes_{split}")
        assert f"recseg_cityscapes_{split}" in DatasetCatalog.list()
        assert metadata.thing_classes == list(STREET_CLASSES)
        assert metadata.label_ids == list(LABEL_IDS)
        assert metadata.evaluator_type == "recseg_cityscapes"


def test_missing_folders_say_what_to_do(tmp_path, copy, new_name):
    with pytest.raises(UserError, match=r"leftImg8bit/train: expected .*no such folder.*make-data"):
        load(new_name, tmp_path / "gone", "train")
    shutil.rmtree(copy / "leftImg8bit" / "val" / "frankfurt")
    shutil.rmtree(copy / "leftImg8bit" / "val" / "lindau")
    with pytest.raises(UserError, match="a folder without them"):
        load(new_name, copy, "val")
    with pytest.raises(UserError, match="split: found 'dev', expected one of train"):
        Cityscapes(new_name(), copy, "dev")


def test_damaged_sets_are_refused_by_name(copy, new_name):
    labels = sorted((copy / "gtFine/train/aachen").glob("*_instanceIds.png"))[0]
    good = labels.read_bytes()
    Image.new("I;16", (50, 48)).save(labels)
    with pytest.raises(UserError, match=rf"{labels.name}: found 50x48 pixels, expected the 96x48"):
        load(new_name, copy, "train")
    Image.new("RGB", (96, 48)).save(labels)
    with pytest.raises(UserError, match=rf"{labels.name}: found pixel type 'RGB'"):
        load(new_name, copy, "train")
    labels.unlink()
    with pytest.raises(UserError, match=rf"{labels.name}: no such file"):
        load(new_name, copy, "train")
    labels.write_bytes(good)
    image = sorted((copy / "leftImg8bit/train/aachen").glob("*.png"))[0]
    image.write_bytes(b"no image")
    with pytest.raises(UserError, match=rf"{image.name}: cannot be read as an image"):
        load(new_name, copy, "train")
