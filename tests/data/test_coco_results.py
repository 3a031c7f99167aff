"""COCO results: what is written, what pycocotools makes of it, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.structures import Instances
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from recseg_d2.data.coco_results import (
    categories_of,
    image_of,
    images_file,
    load_results,
    results_of,
    results_of_instances,
    save_results,
)
from recseg_d2.errors import UserError


@pytest.fixture
def masks() -> np.ndarray:
    masks = np.zeros((3, 5, 7), dtype=bool)
    masks[0, 1:3, 2:6] = True
    masks[1, 4, 6] = True
    return masks  # the third is empty


def test_there_and_back(masks, tmp_path):
    path = tmp_path / "new" / "proposals_some.json"
    results = results_of("b", masks[:2], np.array([0.25, 0.5]))
    results += results_of(7, masks[:1], np.array([1.0]))
    save_results(path, results)
    found = load_results(path)
    assert list(found.entries) == ["b", 7]
    assert [entry["score"] for entry in found.entries["b"]] == [0.25, 0.5]
    first, second = found.entries["b"]
    assert first["bbox"] == [2.0, 1.0, 4.0, 2.0]
    assert second["bbox"] == [6.0, 4.0, 1.0, 1.0]
    assert (first["category_id"], "step" in first) == (1, False)
    assert (coco_mask.decode(first["segmentation"]) == masks[0]).all()
    assert found.images["b"] == {"id": "b", "height": 5, "width": 7}
    assert (found.categories, found.dataset) == ([], "")
    assert not images_file(path).exists()


def test_the_list_of_images_has_those_without_an_object_too(masks, tmp_path):
    path, size = tmp_path / "p.json", (5, 7)
    named = image_of({"image_id": 3, "file_name": tmp_path / "c.png"}, size)
    categories = [{"id": 18, "name": "dog"}]
    results = results_of(4, masks[:1], [0.5], category_ids=[18], steps=[2])
    save_results(path, results, [named, image_of({"image_id": 4}, size)], categories, "pets")
    found = load_results(path)
    assert {image_id: len(entries) for image_id, entries in found.entries.items()} == {3: 0, 4: 1}
    assert found.images[3] == {"id": 3, "file_name": f"{tmp_path}/c.png", "height": 5, "width": 7}
    assert (found.categories, found.dataset) == (categories, "pets")
    assert (found.entries[4][0]["category_id"], found.entries[4][0]["step"]) == (18, 2)
    save_results(path, results)
    assert list(load_results(path).entries) == [4]  # an old list does not stay beside new results


def test_instances_have_the_data_sets_ids_and_their_order(masks):
    name = "coco_results_test_pets"
    metadata = MetadataCatalog.get(name)
    metadata.set(thing_classes=["cat", "dog"], thing_dataset_id_to_contiguous_id={17: 0, 18: 1})
    categories = categories_of(name)
    assert categories == [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]
    MetadataCatalog.remove(name)
    found = Instances((5, 7), pred_masks=torch.from_numpy(masks), scores=torch.rand(3))
    found.pred_classes, found.step = torch.tensor([1, 0, 1]), torch.tensor([4, 0, 1])
    entries = results_of_instances(7, found, categories, ordered=True)
    assert [(e["category_id"], e["step"]) for e in entries] == [(18, 4), (17, 0), (18, 1)]
    entries = results_of_instances(7, found, [], ordered=False)
    assert [e["category_id"] for e in entries] == [1, 0, 1]
    assert all("step" not in entry for entry in entries)


def test_classes_without_ids_of_their_own_have_their_numbers():
    name = "coco_results_test_things"
    MetadataCatalog.get(name).set(thing_classes=["a", "b"])
    assert categories_of(name) == [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
    MetadataCatalog.remove(name)
    assert categories_of("coco_results_test_unheard_of") == []


def test_classes_that_nothing_names_are_listed_by_number(masks, tmp_path):
    path, images = tmp_path / "p.json", [image_of({"image_id": 1}, (5, 7))]
    save_results(
        path, results_of(1, masks, np.ones(3), [2, 0, 2]), images, [{"id": 0, "name": "a"}]
    )
    listed = [(c["id"], c["name"]) for c in load_results(path).categories]
    assert listed == [(0, "a"), (1, "class 1"), (2, "class 2")]


def test_no_mask_and_an_empty_one(masks):
    assert results_of(1, masks[:0], []) == []
    (entry,) = results_of(1, masks[2:], np.array([0.1]))
    assert entry["bbox"] == [0.0, 0.0, 0.0, 0.0]
    assert not coco_mask.decode(entry["segmentation"]).any()


def test_pycocotools_reads_them(masks, tmp_path):
    path = tmp_path / "p.json"
    save_results(path, results_of(1, masks, np.array([0.5, 0.9, 0.4])))
    truth = COCO()
    truth.dataset = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []}
    truth.createIndex()
    results = truth.loadRes(str(path))
    assert [results.anns[k]["score"] for k in (1, 2, 3)] == [0.5, 0.9, 0.4]


def test_pycocotools_reads_results_against_the_list_of_images(masks, tmp_path):
    path = tmp_path / "p.json"
    images = [image_of({"image_id": "a"}, (5, 7))]
    save_results(path, results_of("a", masks[:2], [0.5, 0.9], [3, 3]), images, [{"id": 3}])
    results = COCO(images_file(path)).loadRes(str(path))
    assert [ann["score"] for ann in results.loadAnns(results.getAnnIds(catIds=[3]))] == [0.5, 0.9]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ("{}", "found a JSON dict"),
        ('[{"image_id": 1, "score": 1}]', "entry 0 has no category_id, segmentation"),
        ("[5]", "entry 0 has no image_id"),
        (
            json.dumps([{"image_id": 1, "category_id": 1, "segmentation": [[0, 0]], "score": 1}]),
            "segmentation of entry 0 is no RLE",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        load_results(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.json: cannot be read"):
        load_results(tmp_path / "gone.json")


def test_a_list_of_images_of_another_kind_is_refused(masks, tmp_path):
    path = tmp_path / "p.json"
    save_results(path, results_of(1, masks, np.ones(3)))
    images_file(path).write_text("[]")
    with pytest.raises(UserError, match=r"p_images\.json: found a JSON list, expected a dict"):
        load_results(path)
