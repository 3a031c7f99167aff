"""Predictions of single images and of other tools: which image, which class, which data set."""

from __future__ import annotations

import json

import pytest
from analysis.saved_runs import data, predictions, rectangle, results, standard_dict
from detectron2.data import MetadataCatalog
from pycocotools import mask as coco_mask

from recseg_d2.analysis import errors, ordering
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.data.coco_results import images_file, save_results
from recseg_d2.errors import UserError

LEFT, RIGHT = (0, 0, 10, 10), (0, 20, 10, 40)


@pytest.fixture
def predicted(tmp_path):
    """What ``recseg predict`` leaves of the images a and b: ids are their names, no data set."""
    entries, images = results({"a": [(RIGHT, 0, 0.9), (LEFT, 0, 0.8)], "b": []})
    for image in images:
        image["file_name"] = f"somewhere/{image['id']}.png"
    save_results(tmp_path / "found" / "predictions.json", entries, images)
    return tmp_path / "found"


def numbered(image_id: int, name: str, objects) -> dict:
    return {**standard_dict(image_id, objects), "file_name": f"images/{name}.jpg"}


def test_images_of_a_numbered_data_set_are_found_by_their_names(predicted, register):
    name = register([numbered(7, "b", [(LEFT, 0)]), numbered(9, "a", [(LEFT, 0), (RIGHT, 0)])])
    (found,) = predictions(predicted, dataset=name)
    assert [record["image_id"] for record in found.records] == [9, 7]
    row = errors.analyse(data(predicted, dataset=name)).tables["errors_kinds"][0]
    assert (row["TP"], row["objects"], row["missed"]) == (2, 3, 1)


def test_the_order_needs_no_data_set_and_the_truth_does(predicted):
    (row, *_) = ordering.analyse(data(predicted)).tables["ordering_tau"]
    assert (row["run"], row["sorting"], row["tau"]) == ("found", "r2l", 1.0)
    with pytest.raises(MissingResultsError, match="of no data set; name it by --dataset"):
        errors.analyse(data(predicted))


def test_an_image_that_the_data_set_lacks_is_refused(predicted, register):
    (found,) = predictions(predicted, dataset=register([numbered(7, "b", [])]))
    with pytest.raises(UserError, match=r"found: .*image_id 'a'"):
        _ = found.records


def test_two_files_of_one_name_are_not_guessed_between(predicted, register):
    same = [numbered(1, "a", []), numbered(2, "a", []), numbered(3, "b", [])]
    (found,) = predictions(predicted, dataset=register(same))
    with pytest.raises(UserError, match="image_id 'a'"):
        _ = found.records


@pytest.fixture
def foreign(tmp_path):
    """COCO results with the category ids of a data set, as another tool writes them."""
    path = tmp_path / "theirs.json"
    entry = {"image_id": 7, "score": 0.5}
    path.write_text(
        json.dumps(
            [
                entry | {"category_id": category, "segmentation": run_lengths(box)}
                for box, category in ((LEFT, 18), (RIGHT, 17))
            ]
        )
    )
    return path


def run_lengths(box) -> dict:
    rle = coco_mask.encode(rectangle(box).astype("uint8", order="F"))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def test_results_of_another_tool_have_the_data_sets_ids(foreign, register):
    name = register([standard_dict(7, [(LEFT, 1), (RIGHT, 0)])])
    MetadataCatalog.get(name).thing_dataset_id_to_contiguous_id = {17: 0, 18: 1}
    assert not images_file(foreign).exists()
    (found,) = predictions(foreign, dataset=name)
    assert (found.label, found.classes) == ("theirs.json", ["person", "horse"])
    assert found.found[0].classes.tolist() == [1, 0]
    assert not found.found[0].ordered
    row = errors.analyse(data(foreign, dataset=name)).tables["errors_kinds"][0]
    assert (row["TP"], row["missed"]) == (2, 0)


def test_a_category_that_nothing_names_is_refused_unless_classes_are_left_aside(foreign, register):
    name = register([standard_dict(7, [(LEFT, 1), (RIGHT, 0)])])
    (found,) = predictions(foreign, dataset=name)
    with pytest.raises(UserError, match=r"found category 18, expected one of 0, 1;"):
        _ = found.found
    (found,) = predictions(foreign, dataset=name, class_agnostic=True)
    assert found.found[0].classes.tolist() == [0, 0]
