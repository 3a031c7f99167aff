"""COCO's AP by class, classes aside, and on parts of a data set, through Detectron2's evaluator."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Boxes, Instances

from recseg_d2 import rle
from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.sources.coco import Coco
from recseg_d2.evaluation import build_evaluator

SHAPE = (40, 60)


def box(top: int, left: int, height: int = 15, width: int = 20) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


CAT, DOG, HERD, EMPTY = box(0, 0), box(20, 0), box(0, 30, 30, 30), box(22, 30)


def annotation(mask: np.ndarray, category: int, crowd: int = 0) -> dict:
    (found,) = label_map_to_annotations(mask.astype(np.uint8))
    return {**found, "category_id": category, "iscrowd": crowd}


def record(image_id: int, *annotations: dict) -> dict:
    size = {"height": SHAPE[0], "width": SHAPE[1]}
    return {
        "file_name": f"{image_id}.png",
        "image_id": image_id,
        **size,
        "annotations": list(annotations),
    }


def output(*found: tuple[np.ndarray, int, float]) -> dict[str, Instances]:
    instances = Instances(SHAPE)
    masks = np.stack([f[0] for f in found])
    instances.pred_masks = torch.from_numpy(masks)
    corners = [np.argwhere(mask) for mask in masks]
    boxes = [[*c.min(0)[::-1], *(c.max(0)[::-1] + 1)] for c in corners]
    instances.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32))
    instances.pred_classes = torch.tensor([f[1] for f in found], dtype=torch.int64)
    instances.scores = torch.tensor([f[2] for f in found], dtype=torch.float32)
    return {"instances": instances}


@pytest.fixture
def animals(register):
    name = register([record(1, annotation(CAT, 0), annotation(DOG, 1)), record(2)])
    MetadataCatalog.remove(name)
    MetadataCatalog.get(name).set(thing_classes=["cat", "dog"], evaluator_type="coco")
    yield name
    if f"{name}_class_agnostic" in DatasetCatalog.list():
        DatasetCatalog.remove(f"{name}_class_agnostic")
        MetadataCatalog.remove(f"{name}_class_agnostic")


def evaluate(name: str, kind: str, folder, outputs: dict[int, dict]) -> dict:
    cfg = get_recseg_cfg()
    cfg.TEST.EVALUATOR = kind
    evaluator = build_evaluator(cfg, name, folder)
    evaluator.reset()
    for image_id, found in outputs.items():
        evaluator.process([{"image_id": image_id}], [found])
    return evaluator.evaluate()


def test_classes_count_or_not(animals, tmp_path):
    found = {1: output((CAT, 0, 0.9), (DOG, 0, 0.8))}  # the dog is called a cat
    by_class = evaluate(animals, "coco", tmp_path, found)
    aside = evaluate(animals, "coco_agnostic", tmp_path, found)
    assert by_class["segm"]["AP"] == pytest.approx(50.0)
    assert aside["segm"]["AP"] == aside["bbox"]["AP"] == pytest.approx(100.0)
    assert found[1]["instances"].pred_classes.tolist() == [0, 0]


def test_any_class_will_do_and_strays_are_false(animals, tmp_path):
    found = {1: output((CAT, 1, 0.9), (DOG, 0, 0.7)), 2: output((EMPTY, 1, 0.8))}
    scores = evaluate(animals, "coco_agnostic", tmp_path, found)
    # Right, wrong, right: precision 1 up to recall 1/2, then 2/3.
    assert scores["segm"]["AP50"] == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)
    assert found[1]["instances"].pred_classes.tolist() == [1, 0]


def test_annotations_that_changed_are_seen(animals, tmp_path):
    found = {1: output((CAT, 0, 0.9), (DOG, 0, 0.8))}
    assert evaluate(animals, "coco_agnostic", tmp_path, found)["segm"]["AP"] == pytest.approx(100)
    DatasetCatalog.get(animals)[1]["annotations"].append(annotation(EMPTY, 0))
    assert evaluate(animals, "coco_agnostic", tmp_path, found)["segm"]["AP"] < 80


@pytest.mark.parametrize("kind", ["coco", "coco_agnostic"])
def test_crowds_are_ignored(register, tmp_path, kind):
    name = register([record(1, annotation(CAT, 0), annotation(HERD, 0, crowd=1))])
    found = {1: output((box(2, 32), 0, 0.95), (CAT, 0, 0.9), (box(12, 35), 0, 0.92))}
    assert evaluate(name, kind, tmp_path, found)["segm"]["AP"] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("kind", "scores_of", "name_of_ap"),
    [("coco", "segm", "AP"), ("coco_agnostic", "segm", "AP"), ("voc_segm", "voc_segm", "APr50")],
)
def test_what_is_found_where_nothing_is_known_does_not_count(
    animals, tmp_path, kind, scores_of, name_of_ap
):
    """The best scores are there, of either class; each would halve an AP."""
    found = {1: output((CAT, 0, 0.7), (DOG, 1, 0.6), (HERD, 0, 0.9), (EMPTY, 1, 0.8))}
    before = evaluate(animals, kind, tmp_path / "known", found)[scores_of][name_of_ap]
    DatasetCatalog.get(animals)[0]["ignored"] = rle.encode(HERD | EMPTY)
    for _ in range(2):  # an evaluator is built for each evaluation
        scores = evaluate(animals, kind, tmp_path / "unknown", found)[scores_of]
        assert scores[name_of_ap] == pytest.approx(100.0)
    assert before < 60
    for name in [name for name in DatasetCatalog.list() if name.endswith("_with_crowds")]:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def test_outputs_without_instances_are_passed_over(animals, tmp_path):
    assert evaluate(animals, "coco_agnostic", tmp_path, {1: {"proposals": None}}) == {}


def test_a_part_of_a_data_set(tmp_path):
    """Two images of cats and dogs, one without a dog; only dogs are asked for."""
    contents = {
        "images": [
            {"id": k, "file_name": f"{k}.jpg", "height": SHAPE[0], "width": SHAPE[1]}
            for k in (5, 7)
        ],
        "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [],
    }
    for image_id, mask, category in ((5, CAT, 17), (5, DOG, 18), (7, CAT, 17)):
        entry = {**annotation(mask, category), "id": len(contents["annotations"]) + 1}
        contents["annotations"].append({**entry, "bbox_mode": None, "image_id": image_id})
    (tmp_path / "all.json").write_text(json.dumps(contents))
    name = "evaluation_test_dogs"
    Coco(name, tmp_path / "all.json", tmp_path, ["dog"]).register()
    try:
        scores = evaluate(name, "coco", tmp_path / "out", {5: output((DOG, 0, 0.9))})
        assert scores["segm"]["AP"] == scores["bbox"]["AP"] == pytest.approx(100.0)
        saved = json.loads((tmp_path / "out" / f"{name}_coco_format.json").read_text())
        assert [image["id"] for image in saved["images"]] == [5]
        assert saved["categories"] == [{"id": 0, "name": "dog"}]
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
