"""Proposal files: what is written, what pycocotools makes of it, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from recseg_d2.data.proposal_files import (
    encode_masks,
    load_proposals,
    proposals_to_results,
    save_proposals,
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
    results = proposals_to_results("b", masks[:2], np.array([0.25, 0.5]))
    results += proposals_to_results(7, masks[:1], np.array([1.0]))
    save_proposals(path, results)
    found = load_proposals(path)
    assert list(found) == ["b", 7]
    assert [entry["score"] for entry in found["b"]] == [0.5, 0.25]
    best, second = found["b"]
    assert best["bbox"] == [6.0, 4.0, 1.0, 1.0]
    assert second["bbox"] == [2.0, 1.0, 4.0, 2.0]
    assert second["category_id"] == 1
    assert (coco_mask.decode(second["segmentation"]) == masks[0]).all()


def test_many_masks_are_encoded_one_by_one():
    masks = np.random.default_rng(0).random((150, 4, 3)) > 0.5
    for mask, rle in zip(masks, encode_masks(masks), strict=True):
        assert (coco_mask.decode(rle) == mask).all()


def test_no_mask_and_an_empty_one(masks):
    assert encode_masks(masks[:0]) == []
    (entry,) = proposals_to_results(1, masks[2:], np.array([0.1]))
    assert entry["bbox"] == [0.0, 0.0, 0.0, 0.0]
    assert not coco_mask.decode(entry["segmentation"]).any()


def test_equal_scores_stay_in_the_files_order(masks, tmp_path):
    path = tmp_path / "p.json"
    save_proposals(path, proposals_to_results(1, masks, np.array([0.5, 0.9, 0.5])))
    areas = [coco_mask.area(entry["segmentation"]) for entry in load_proposals(path)[1]]
    assert areas == [1, 8, 0]


def test_pycocotools_reads_them(masks, tmp_path):
    path = tmp_path / "p.json"
    save_proposals(path, proposals_to_results(1, masks, np.array([0.5, 0.9, 0.4])))
    truth = COCO()
    truth.dataset = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []}
    truth.createIndex()
    results = truth.loadRes(str(path))
    assert [results.anns[k]["score"] for k in (1, 2, 3)] == [0.5, 0.9, 0.4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ("{}", "found a JSON dict"),
        ('[{"image_id": 1, "score": 1}]', "entry 0 has no bbox, segmentation"),
        ("[5]", "entry 0 has no image_id"),
        (
            json.dumps([{"image_id": 1, "bbox": [], "segmentation": [[0, 0]], "score": 1}]),
            "segmentation of entry 0 is no RLE",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        load_proposals(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.json: cannot be read"):
        load_proposals(tmp_path / "gone.json")
