"""What every data set does, on one whose images are numbers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.problems import Problem
from recseg_d2.data.sources.base import DataSource, survey
from recseg_d2.errors import UserError


@dataclass(frozen=True)
class Numbers(DataSource[int]):
    """Image n has n objects of class 3; multiples of ``bad`` cannot be read."""

    numbers: tuple[int, ...]
    bad: int = 100

    def find(self):
        return self.numbers

    def read(self, item):
        if item and item % self.bad == 0:
            raise UserError(f"{self.file_of(item)}: is a multiple of {self.bad}.")
        annotations = [{"category_id": 3, "iscrowd": 0} for _ in range(item)]
        return {"file_name": self.file_of(item), "annotations": annotations}

    def file_of(self, item):
        return f"image {item}"

    def metadata(self):
        return {"thing_classes": ("a", "b", "c", "d"), "evaluator_type": "coco"}


def files(records):
    return [record["file_name"] for record in records]


def test_records_come_in_order_and_are_the_callers():
    source = Numbers("some", (2, 0, 1))
    records = source()
    assert files(records) == ["image 2", "image 0", "image 1"]
    records[0]["annotations"][0]["category_id"] = 9
    records[2]["annotations"].clear()
    assert [len(r["annotations"]) for r in source()] == [2, 0, 1]
    assert source()[0]["annotations"][0]["category_id"] == 3


def test_the_first_bad_image_is_named_and_the_others_counted():
    with pytest.raises(UserError, match=r"^image 6: is a multiple of 3\.$"):
        Numbers("one", (1, 6, 2), bad=3)()
    with pytest.raises(UserError, match=r"^image 6: .*\(2 problems: `recseg"):
        Numbers("two", (1, 6, 3), bad=3)()


def test_a_survey_goes_on_after_bad_images():
    source = Numbers("two", (1, 6, 3, 2), bad=3)
    records, problems = survey(source)
    assert files(records) == ["image 1", "image 2"]
    assert problems == [
        Problem("image 6", "is a multiple of 3."),
        Problem("image 3", "is a multiple of 3."),
    ]
    assert survey(lambda: [{"number": 2}]) == ([{"number": 2}], [])


def test_other_errors_are_no_problems_of_the_data():
    with pytest.raises(ZeroDivisionError):
        Numbers("zero", (1,), bad=0).survey()


def test_limits_hold_for_the_records_and_the_survey():
    source = Numbers("few", (0, 1, 2, 3), min_objects=1, max_objects=2)
    assert files(source()) == files(source.survey()[0]) == ["image 1", "image 2"]
    with pytest.raises(UserError, match="few: none of 1 images is left; they have 4 to 4 objects"):
        Numbers("few", (4,), min_objects=1, max_objects=2)()


def test_crowds_do_not_count_and_images_without_ground_truth_stay():
    @dataclass(frozen=True)
    class Crowds(Numbers):
        def read(self, item):
            record = {"file_name": self.file_of(item)}
            crowds = [{"category_id": 0, "iscrowd": 1}] * item
            return {**record, "annotations": crowds} if item else record

    assert files(Crowds("crowds", (0, 3), min_objects=1)()) == ["image 0"]
    assert files(Crowds("crowds", (0, 3), max_objects=2)()) == ["image 0", "image 3"]


def test_one_class_takes_the_place_of_all(new_name):
    source = Numbers(new_name(), (2,), one_class=True)
    source.register(image_root="here")
    (record,) = DatasetCatalog.get(source.name)
    assert [a["category_id"] for a in record["annotations"]] == [0, 0]
    metadata = MetadataCatalog.get(source.name)
    assert (metadata.thing_classes, metadata.evaluator_type) == (["object"], "coco")
    assert metadata.image_root == "here"
