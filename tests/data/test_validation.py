from __future__ import annotations

import logging

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode
from PIL import Image

from recseg_d2.data.sources.synthetic import Rosettes
from recseg_d2.data.validation import check_dataset_dicts, report_oddities, validate_dicts
from recseg_d2.errors import UserError

HEIGHT, WIDTH = 8, 10
SQUARE = [[2.0, 1.0, 6.0, 1.0, 6.0, 5.0, 2.0, 5.0]]


@pytest.fixture
def record(tmp_path):
    """A good image with one object."""
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(path)
    return {
        "file_name": str(path),
        "image_id": "a",
        "height": HEIGHT,
        "width": WIDTH,
        "annotations": [annotation()],
    }


def annotation(**changes):
    return {
        "bbox": [2.0, 1.0, 4.0, 4.0],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": 0,
        "segmentation": SQUARE,
        "iscrowd": 0,
        **changes,
    }


def messages(record, classes=("thing",)):
    return [problem.message for problem in validate_dicts([record], classes).problems]


def test_a_good_record_in_all_forms(record):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[1:5, 2:6] = 1
    counts = [17, 4, 4, 4, 4, 4, 4, 4, 35]  # columns 2 to 5, rows 1 to 4 of 8
    record["annotations"] += [
        annotation(segmentation=mask),
        annotation(segmentation={"size": [HEIGHT, WIDTH], "counts": counts}),
        annotation(bbox=[2.0, 1.0, 6.0, 5.0], bbox_mode=BoxMode.XYXY_ABS),
        annotation(iscrowd=1),
    ]
    report = validate_dicts([record], ("thing",))
    assert report.problems == []
    assert (report.summary.objects, report.summary.crowds) == (4, 1)


def test_no_annotations_and_no_objects_are_fine(record):
    record["annotations"] = []
    test_image = {k: v for k, v in record.items() if k != "annotations"} | {"image_id": "b"}
    report = validate_dicts([record, test_image], ("thing",))
    assert report.problems == []
    assert (report.summary.empty, report.summary.unannotated) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"category_id": 1}, "annotation 1: found category_id 1, expected 0 to 0."),
        ({"category_id": None}, "annotation 1: found category_id None, expected 0 to 0."),
        ({"iscrowd": 2}, "annotation 1: found iscrowd 2, expected 0 or 1."),
        (
            {"bbox": [2.0, 1.0, 0.0, 4.0]},
            "annotation 1: found a box from (2, 1) to (2, 5), expected one of some width and "
            "height.",
        ),
        (
            {"bbox": [2.0, 1.0, 4.0, 9.0]},
            "annotation 1: found a box from (2, 1) to (6, 10), 2 pixels outside of the image.",
        ),
        (
            {"bbox": [7.0, 1.0, 3.0, 4.0]},
            "annotation 1: found a box of corners 7, 1, 10, 5 around a mask of corners 2, 1, 6, 5.",
        ),
        (
            {"segmentation": np.zeros((HEIGHT, WIDTH), bool)},
            "annotation 1: found a mask without a pixel.",
        ),
        (
            {"segmentation": np.ones((HEIGHT, 5), bool)},
            "annotation 1: segmentation: found a mask of 5x8 pixels, expected the image's 10x8; "
            "annotate the image at its own size.",
        ),
        (
            {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [3, 2]}},
            "annotation 1: segmentation: found an RLE of 5 pixels in all, expected the 80 of 10x8; "
            "its counts are damaged, or no alternating lengths of background and object (pairs of "
            "start and length are none).",
        ),
    ],
)
def test_problems_of_an_annotation(record, changes, expected):
    record["annotations"] = [annotation(**changes)]
    assert expected in messages(record)


@pytest.mark.parametrize("bbox", [None, [1.0, 2.0, 3.0], [1.0, 2.0, float("nan"), 3.0]])
def test_what_is_no_box(record, bbox):
    record["annotations"] = [annotation(bbox=bbox)]
    (message,) = messages(record)
    assert message.startswith(f"annotation 1: found bbox {bbox!r}")


@pytest.mark.parametrize("segmentation", [None, [], "mask", [[1.0, 2.0, 3.0, 4.0]]])
def test_what_is_no_mask(record, segmentation):
    record["annotations"] = [annotation(segmentation=segmentation), annotation()]
    (message,) = messages(record)
    assert message.startswith("annotation 1: segmentation: ")


def test_one_message_for_each_thing(record):
    record["annotations"] = [annotation(category_id=-1, iscrowd=3, bbox=[0, 0, 0, 0])]
    assert len(messages(record)) == 3


@pytest.mark.parametrize("key", ["file_name", "image_id", "height", "width"])
def test_missing_keys(record, key):
    del record[key]
    report = validate_dicts([record], ("thing",))
    assert report.problems[0].message.startswith(f"found {key} None, expected")
    assert report.summary.images == 0


def test_images_that_are_missing_damaged_or_of_another_size(record, tmp_path):
    missing = {**record, "file_name": str(tmp_path / "b.png"), "image_id": "b"}
    (tmp_path / "c.png").write_bytes(b"no image")
    damaged = {**record, "file_name": str(tmp_path / "c.png"), "image_id": "c"}
    wide = {**record, "width": WIDTH + 1, "annotations": [], "image_id": "d"}
    dicts = [record, missing, damaged, wide]
    problems = validate_dicts(dicts, ("thing",)).problems
    assert [p.file for p in problems] == [d["file_name"] for d in dicts[1:]]
    assert problems[0].message == "no such image file."
    assert "cannot be read as an image" in problems[1].message
    assert problems[2].message == "found an image of 10x8 pixels, its dict says 11x8."


def test_an_image_id_that_occurs_twice(record):
    problems = validate_dicts([record, dict(record)], ("thing",)).problems
    assert [p.message for p in problems] == ["its image_id 'a' occurs 2 times."] * 2


def test_nothing_at_all():
    report = validate_dicts([], ("thing",))
    assert report.problems == []
    assert report.summary.images == 0
    assert "images" in report.summary.table()


@pytest.mark.parametrize("name", ["synthetic_rosettes_dev", "synthetic_scenes_dev"])
def test_drawn_data_sets_pass(name):
    dicts = DatasetCatalog.get(name)[:8]
    assert validate_dicts(dicts, MetadataCatalog.get(name).thing_classes).problems == []


@pytest.fixture
def dicts():
    return Rosettes("three", 3, first_seed=0, size=48)()


def test_good_dicts_pass_silently(dicts, caplog):
    check_dataset_dicts(dicts, "rosettes", num_classes=1)
    report_oddities(dicts, "rosettes", max_instances=8)
    assert not caplog.records


def test_dicts_without_annotations_pass(dicts):
    del dicts[0]["annotations"]
    check_dataset_dicts(dicts, "rosettes", num_classes=1)


def test_oddities_are_logged(dicts, caplog):
    dicts[0]["annotations"] = []
    with caplog.at_level(logging.WARNING):
        report_oddities(dicts, "rosettes", max_instances=1)
    text = caplog.text
    assert "rosettes: 1 of 3 images have no object" in text
    assert "rosettes: 2 of 3 images have more than 1 objects" in text
    assert "synthetic://rosettes/48/" in text


def test_no_image_is_refused():
    with pytest.raises(UserError, match="rosettes: found no image"):
        check_dataset_dicts([], "rosettes", num_classes=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file_name": "gone.png"}, r"gone\.png: no such image file"),
        ({"height": 47}, "mask of 48x48 pixels, expected the image's 48x47"),
    ],
)
def test_records_that_contradict_the_files_are_refused(dicts, change, message):
    dicts[1].update(change)
    with pytest.raises(UserError, match=f"rosettes.*{message}"):
        check_dataset_dicts(dicts, "rosettes", num_classes=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category_id": 1}, "found category_id 1, expected 0 to 0"),
        ({"category_id": -1}, "found category_id -1"),
        ({"segmentation": {"size": [48, 48], "counts": [9]}}, "found an RLE of 9 pixels in all"),
        ({"segmentation": None}, "its segmentation is None"),
        ({"segmentation": []}, "boxes alone cannot train masks"),
    ],
)
def test_unusable_annotations_are_refused_unless_they_are_crowds(dicts, change, message):
    dicts[1]["annotations"][0].update(change)
    with pytest.raises(UserError, match=rf"rosettes: synthetic://rosettes/48/1\.png.*{message}"):
        check_dataset_dicts(dicts, "rosettes", num_classes=1)
    dicts[1]["annotations"][0]["iscrowd"] = 1
    check_dataset_dicts(dicts, "rosettes", num_classes=1)
