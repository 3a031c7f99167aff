from __future__ import annotations

import logging

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.data.sources.cvppp import Cvppp
from recseg_d2.data.sources.label_maps import LabelMaps
from recseg_d2.data.sources.own_data import open_own_data
from recseg_d2.errors import UserError

TWO = np.zeros((6, 9), np.int32)
TWO[1:3, 1:4] = 1
TWO[4, 5:8] = 300


def write_pair(folder, stem, labels, image_name=None):
    """An image and its label map in folder/images and folder/labels."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    pixels = np.full((*labels.shape, 3), 50, np.uint8)
    Image.fromarray(pixels).save(folder / "images" / (image_name or f"{stem}.png"))
    write_label_map(folder / "labels" / f"{stem}.png", labels)


@pytest.fixture
def folder(tmp_path):
    write_pair(tmp_path, "b", TWO)
    write_pair(tmp_path, "a", np.zeros((4, 4), np.int32), image_name="a.jpg")
    write_pair(tmp_path, "c", np.eye(3, dtype=np.int32) * [1, 2, 3])
    return tmp_path


@pytest.fixture
def load(new_name, folder):
    """Registers ``folder`` with options and loads it."""

    def load(**options):
        name = new_name()
        LabelMaps(name, folder / "images", folder / "labels", **options).register()
        return DatasetCatalog.get(name)

    return load


def test_records_in_the_order_of_the_stems(load, folder):
    records = load()
    assert [r["image_id"] for r in records] == ["a", "b", "c"]
    assert records[0]["file_name"] == str(folder / "images/a.jpg")
    assert [len(r["annotations"]) for r in records] == [0, 2, 3]
    assert (records[1]["height"], records[1]["width"]) == (6, 9)
    first, second = records[1]["annotations"]
    assert first["bbox"] == [1, 1, 3, 2]
    np.testing.assert_array_equal(coco_mask.decode(second["segmentation"]), TWO == 300)
    assert {a["category_id"] for r in records for a in r["annotations"]} == {0}


def test_metadata(new_name, folder):
    name = new_name()
    LabelMaps(name, folder / "images", folder / "labels", ("nucleus",)).register(source="a test")
    metadata = MetadataCatalog.get(name)
    assert metadata.thing_classes == ["nucleus"]
    assert metadata.evaluator_type == "label_map"
    assert metadata.source == "a test"


def test_files_are_read_once_and_callers_may_change_what_they_get(folder):
    source = LabelMaps("once", folder / "images", folder / "labels")
    records = source()
    records[1]["annotations"][0]["category_id"] = 9
    records[1]["annotations"].pop()
    (folder / "labels/b.png").unlink()
    again = source()[1]["annotations"]
    assert [a["category_id"] for a in again] == [0, 0]


def test_filter_by_number_of_objects(load):
    def ids(fewest=0, most=None):
        return [r["image_id"] for r in load(min_objects=fewest, max_objects=most)]

    assert ids(fewest=1) == ["b", "c"]
    assert ids(most=2) == ["a", "b"]
    assert ids(2, 2) == ["b"]


def test_counts_are_logged(load, caplog):
    with caplog.at_level(logging.INFO, logger="recseg_d2"):
        load(max_objects=2)
    assert "2 images, 2 objects; 1 images without an object, 1 left out" in caplog.text


def test_classes_come_from_the_quotient(tmp_path):
    write_pair(tmp_path, "a", np.array([[0, 7, 1001, 1002, 3001]]))
    places = ("classes", tmp_path / "images", tmp_path / "labels", ("car", "tree"))
    (record,) = LabelMaps(*places, label_divisor=1000, class_ids=(3, 1))()
    assert [a["category_id"] for a in record["annotations"]] == [1, 1, 0]  # 7 is background
    with pytest.raises(UserError, match=r"a\.png: found label 3001, that is class 3, expected one"):
        LabelMaps(*places, label_divisor=1000)()
    (record,) = LabelMaps(*places, label_divisor=1000, class_ids=(3, 1), one_class=True)()
    assert [a["category_id"] for a in record["annotations"]] == [0, 0, 0]


def test_several_classes_need_a_rule(folder):
    places = ("classes", folder / "images", folder / "labels", ("a", "b"))
    with pytest.raises(UserError, match="2 classes need label_divisor"):
        LabelMaps(*places)
    with pytest.raises(UserError, match="found 1 class_ids for 2 classes"):
        LabelMaps(*places, label_divisor=10, class_ids=(1,))


def test_one_folder_with_suffixes(tmp_path):
    for stem in ("p2", "p1"):
        Image.fromarray(np.zeros((6, 9, 4), np.uint8)).save(tmp_path / f"{stem}_rgb.png")
        write_label_map(tmp_path / f"{stem}_label.png", TWO)
        Image.fromarray(np.zeros((6, 9), np.uint8)).save(tmp_path / f"{stem}_fg.png")
    source = open_own_data("plants", tmp_path)
    assert [r["image_id"] for r in source()] == ["p1", "p2"]
    assert source.metadata()["evaluator_type"] == "label_map"


def test_missing_label_map_is_refused_and_idle_one_is_mentioned(load, folder, caplog):
    (folder / "images/a.jpg").rename(folder / "images/z.jpg")
    with pytest.raises(UserError, match=r"/labels/z\.png: no such file, expected.*away\.$"):
        load()
    (folder / "images/z.jpg").unlink()
    with caplog.at_level(logging.WARNING, logger="recseg_d2"):
        assert len(load()) == 2
    assert "label maps without an image (1) are ignored: a" in caplog.text


def test_a_survey_names_each_image_without_a_label_map(folder):
    (folder / "labels/a.png").unlink()
    (folder / "labels/c.png").rename(folder / "labels/c.jpg")
    source = LabelMaps("holes", folder / "images", folder / "labels")
    records, problems = source.survey()
    assert [r["image_id"] for r in records] == ["b"]
    assert [p.file for p in problems] == [str(folder / "images" / n) for n in ("a.jpg", "c.png")]
    assert (
        f"{folder / 'labels/a.png'}: no such file, expected one for each image. Add one"
        in problems[0].message
    )
    assert "lossy" not in problems[0].message
    assert "c.jpg is of a lossy format" in problems[1].message
    with pytest.raises(UserError, match=r"labels/a\.png: no such.*\(2 problems"):
        source()


def test_labels_may_be_missing_in_the_test_set_but_not_half_there(tmp_path):
    for stem in ("p1", "p2"):
        Image.new("RGB", (9, 6)).save(tmp_path / f"{stem}_rgb.png")
    for records, problems in (
        (Cvppp("all", tmp_path, "test")(), []),
        Cvppp("all", tmp_path, "test").survey(),
    ):
        assert problems == []
        assert [r["image_id"] for r in records] == ["p1", "p2"]
        assert all("annotations" not in r for r in records)
    write_label_map(tmp_path / "p2_label.png", TWO)
    with pytest.raises(UserError, match=r"p1_label\.png: no such file"):
        Cvppp("half", tmp_path, "test")()


def test_size_mismatch_is_refused(load, folder):
    write_label_map(folder / "labels/b.png", TWO[:, :5])
    with pytest.raises(UserError, match=r"b\.png: found 5x6 pixels, expected the 9x6 of .*b\.png"):
        load()


def test_wrong_pixel_type_of_a_label_map_is_refused(load, folder):
    Image.fromarray(TWO > 0).save(folder / "labels/b.png")
    with pytest.raises(UserError, match=r"b\.png: found pixel type '1'"):
        load()


def test_empty_and_missing_folders_and_equal_stems_are_refused(load, folder):
    Image.fromarray(np.zeros((6, 9), np.uint8)).save(folder / "images/b.bmp")
    with pytest.raises(UserError, match=r"b\.png and b\.bmp have the same stem"):
        load()
    for path in (folder / "images").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"found no image \*\.\*"):
        load()
    (folder / "images").rmdir()
    with pytest.raises(UserError, match="no such folder"):
        load()


def test_a_label_map_after_jpeg_compression_is_refused(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "images" / "a.png")
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "labels" / "a.png")
    source = LabelMaps("noise", tmp_path / "images", tmp_path / "labels")
    with pytest.raises(UserError, match=r"labels/a\.png: found 256 labels.*JPEG"):
        source()


def test_limits_that_leave_no_image_are_named(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
        Image.new("L", (8, 8), 1).save(tmp_path / part / "a.png")
    source = LabelMaps("one", tmp_path / "images", tmp_path / "labels", min_objects=3)
    with pytest.raises(UserError, match="none of 1 images is left; they have 1 to 1 objects"):
        source()
