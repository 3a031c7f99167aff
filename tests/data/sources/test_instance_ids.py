from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2.data.sources.instance_ids import (
    CITYSCAPES_DIVISOR,
    KITTI_DIVISOR,
    LABEL_IDS,
    STREET_CLASSES,
    InstanceIdRule,
    read_instance_ids,
)
from recseg_d2.errors import UserError


def summary(annotations):
    return [
        (STREET_CLASSES[a["category_id"]], a["iscrowd"], coco_mask.area(a["segmentation"]))
        for a in annotations
    ]


def test_classes_are_those_of_the_benchmark():
    by_id = dict(zip(LABEL_IDS, STREET_CLASSES, strict=True))
    assert by_id == {
        24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train",
        32: "motorcycle", 33: "bicycle",
    }  # fmt: skip


def test_cityscapes_ids_by_hand():
    # road, void, car group, first and second car, caravan, last bicycle
    ids = np.array([[7, 1, 26, 26, 26000], [26001, 26001, 26001, 29000, 33999]], np.uint16)
    rule = InstanceIdRule(LABEL_IDS, CITYSCAPES_DIVISOR)
    assert summary(rule.label_map(ids).annotations()) == [
        ("car", 1, 2),
        ("car", 0, 1),
        ("car", 0, 3),
        ("bicycle", 0, 1),
    ]


def test_kitti_ids_by_hand():
    # 26 is an instance of the class "unlabeled", 26 * 256 cars that were not taken apart
    ids = np.array([[26, 7 * 256, 26 * 256, 26 * 256 + 1], [24 * 256 + 255, 0, 6657, 6657]])
    rule = InstanceIdRule(LABEL_IDS, KITTI_DIVISOR)
    assert summary(rule.label_map(ids.astype(np.uint16)).annotations()) == [
        ("person", 0, 1),
        ("car", 1, 1),
        ("car", 0, 3),
    ]


def test_only_the_classes_asked_for():
    ids = np.array([[24000, 26, 26003, 33000]], np.uint16)
    rule = InstanceIdRule((26,), CITYSCAPES_DIVISOR)
    annotations = rule.label_map(ids).annotations()
    assert [(a["category_id"], a["iscrowd"]) for a in annotations] == [(0, 1), (0, 0)]


def test_files_of_16_and_8_bits(tmp_path):
    ids = np.array([[7, 26], [26000, 33999]], np.uint16)
    Image.fromarray(ids).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_instance_ids(tmp_path / "deep.png"), ids)
    assert read_instance_ids(tmp_path / "deep.png").dtype == np.uint16
    Image.fromarray(ids.astype(np.uint8)).save(tmp_path / "flat.png")
    np.testing.assert_array_equal(read_instance_ids(tmp_path / "flat.png"), ids.astype(np.uint8))


def test_files_that_are_no_ids_are_refused(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "colour.png")
    Image.new("P", (3, 2)).save(tmp_path / "palette.png")
    Image.fromarray(np.array([[70000, 1]], np.int32)).save(tmp_path / "deep.tif")
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(np.zeros((64, 64), np.uint16)).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name, message in {
        "colour.png": "found pixel type 'RGB', expected one page of 16-bit grey",
        "palette.png": "found pixel type 'P', expected one page of 16-bit grey",
        "deep.tif": "found ids up to 70000",
        "text.png": "cannot be read as an image",
        "cut.png": "cannot be read as an image",
        "gone.png": "no such file",
    }.items():
        with pytest.raises(UserError, match=rf"{name}: {message}"):
            read_instance_ids(tmp_path / name)
