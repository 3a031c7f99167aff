from __future__ import annotations

import logging

import pytest

from recseg_d2.data.checks import check_dataset_dicts, report_oddities
from recseg_d2.data.datasets.synthetic import load_rosettes
from recseg_d2.errors import UserError


@pytest.fixture
def dicts():
    return load_rosettes(3, first_seed=0, size=48)


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
        ({"file_name": "gone.png"}, r"no image file gone\.png"),
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
        ({"segmentation": None}, "without a segmentation"),
        ({"segmentation": []}, "without a segmentation"),
    ],
)
def test_unusable_annotations_are_refused_unless_they_are_crowds(dicts, change, message):
    dicts[1]["annotations"][0].update(change)
    with pytest.raises(UserError, match=rf"rosettes: synthetic://rosettes/48/1\.png.*{message}"):
        check_dataset_dicts(dicts, "rosettes", num_classes=1)
    dicts[1]["annotations"][0]["iscrowd"] = 1
    check_dataset_dicts(dicts, "rosettes", num_classes=1)
