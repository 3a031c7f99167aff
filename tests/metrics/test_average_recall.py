"""Average recall against pycocotools on random and tie-heavy masks, and by hand."""

from __future__ import annotations

import contextlib
import doctest
import io
import math

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from recseg_d2.metrics import average_recall
from recseg_d2.metrics.average_recall import SIZES, AverageRecall, match_proposals

SIDE = 140  # pixels, so that objects of all sizes fit
LIMITS = (3, 10, 40)


def rectangles(rng: np.random.Generator, count: int, grid: int) -> np.ndarray:
    """(count, SIDE, SIDE) rectangles with corners on a grid: a coarse one makes many ties."""
    masks = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    for mask in masks:
        y, x = rng.integers(0, SIDE // grid, 2) * grid
        height, width = (rng.integers(1, SIDE // grid + 1, 2)) * grid
        mask[y : y + height, x : x + width] = 1
    return masks


def encode(masks: np.ndarray) -> list[dict]:
    return coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0))) if len(masks) else []


def scene(rng: np.random.Generator, grid: int, objects: int, proposals: int) -> dict:
    truth = rectangles(rng, objects, grid)
    # half of the proposals are true objects, shifted or not, so that all thresholds matter
    found = rectangles(rng, proposals, grid)
    for k in range(0, proposals if objects else 0, 2):
        found[k] = np.roll(truth[rng.integers(objects)], rng.integers(0, 3) * grid // 2, axis=0)
    return {
        "truth": encode(truth),
        "found": encode(found),
        "crowd": (rng.random(objects) < 0.25).astype(int),
        "scores": rng.integers(0, 6, proposals) / 5,  # many equal ones
        # annotations of polygons state areas that differ from the pixels' number
        "areas": coco_mask.area(encode(truth)) * rng.uniform(0.8, 1.2) if objects else np.zeros(0),
    }


def coco_recall(scenes: list[dict]) -> np.ndarray:
    """(A, L, T) by pycocotools, NaN where it says -1."""
    annotations, results = [], []
    for image, s in enumerate(scenes):
        for rle, crowd, area in zip(s["truth"], s["crowd"], s["areas"], strict=True):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": 1, "area": area,
                 "bbox": [0, 0, 1, 1], "iscrowd": int(crowd), "segmentation": rle}
            )  # fmt: skip
        for rle, score in zip(s["found"], s["scores"], strict=True):
            results.append(
                {"image_id": image, "category_id": 1, "score": score, "segmentation": rle}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        images = [{"id": k, "height": SIDE, "width": SIDE} for k in range(len(scenes))]
        truth.dataset = {"images": images, "categories": [{"id": 1}], "annotations": annotations}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.useCats = 0
        evaluation.params.maxDets = list(LIMITS)
        evaluation.evaluate()
        evaluation.accumulate()
    recall = evaluation.eval["recall"][:, 0]  # (T, A, L)
    return np.where(recall < 0, np.nan, recall).transpose(1, 2, 0)


def add(recall: AverageRecall, image: int, s: dict) -> None:
    order = np.argsort(-s["scores"], kind="stable")
    found = [s["found"][k] for k in order]
    ious = coco_mask.iou(found, s["truth"], s["crowd"].tolist())
    ious = np.asarray(ious, dtype=float).reshape(len(found), len(s["truth"]))
    recall.update(image, ious, s["crowd"], s["areas"])


@pytest.mark.parametrize("grid", [1, 5, 20, 35])
@pytest.mark.parametrize("seed", range(3))
def test_equals_pycocotools(grid, seed):
    rng = np.random.default_rng(seed)
    scenes = [scene(rng, grid, rng.integers(0, 8), rng.integers(1, 50)) for _ in range(5)]
    recall = AverageRecall(LIMITS)
    for image, s in enumerate(scenes):
        add(recall, image, s)
    expected = coco_recall(scenes)
    np.testing.assert_array_equal(recall.recalls(), expected)
    summary = recall.summary()
    assert summary["AR@40"] == pytest.approx(100 * expected[0, 2].mean(), nan_ok=True)
    assert summary["AR@3-large"] == pytest.approx(100 * expected[3, 0].mean(), nan_ok=True)


def test_images_without_objects_or_without_proposals():
    rng = np.random.default_rng(5)
    scenes = [scene(rng, 10, 4, 0), scene(rng, 10, 0, 6), scene(rng, 10, 3, 6)]
    recall = AverageRecall(LIMITS)
    for image, s in enumerate(scenes):
        add(recall, image, s)
    np.testing.assert_array_equal(recall.recalls(), coco_recall(scenes))


def test_by_hand():
    """Two objects; the first proposal covers A by 0.8, the second A by 0.9, the third B by 0.6."""
    ious = np.array([[0.8, 0.0], [0.9, 0.0], [0.1, 0.6]])
    recall = AverageRecall(limits=(1, 2, 3))
    recall.update("a", ious, np.zeros(2, bool), np.array([100.0, 5000.0]))
    # one-to-one: up to 0.8 proposal 1 takes A; from 0.85 on proposal 2 does (two of ten thresholds)
    assert recall.summary()["AR@1"] == pytest.approx(100 * 7 / 20)
    assert recall.summary()["AR@2"] == pytest.approx(100 * 9 / 20)
    assert recall.summary()["AR@3"] == pytest.approx(100 * (9 + 3) / 20)
    assert recall.summary()["AR@3-small"] == pytest.approx(90.0)
    assert recall.summary()["AR@3-medium"] == pytest.approx(30.0)
    assert math.isnan(recall.summary()["AR@3-large"])
    continuous = recall.summary(continuous=True)
    assert continuous["AR@1"] == pytest.approx(100 * (0.3 + 0) / 0.5 / 2)
    assert continuous["AR@3"] == pytest.approx(100 * (0.4 + 0.1) / 0.5 / 2)
    np.testing.assert_array_equal(
        recall.curve(np.array([0.5, 0.6, 0.61, 0.9, 1.0])),
        [[0.5, 0.5, 0.5, 0, 0], [0.5, 0.5, 0.5, 0.5, 0], [1, 1, 0.5, 0.5, 0]],
    )


def test_the_continuous_average_is_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    recall = AverageRecall(limits=(5, 20))
    for image in range(4):
        recall.update(image, rng.random((30, 6)), rng.random(6) < 0.2, np.full(6, 50.0))
    fine = (np.arange(200000) + 0.5) / 400000 + 0.5
    areas = 100 * recall.curve(fine).mean(axis=1)
    summary = recall.summary(continuous=True)
    np.testing.assert_allclose([summary["AR@5"], summary["AR@20"]], areas, atol=1e-3)


def test_a_perfect_overlap_meets_the_threshold_of_one():
    recall = AverageRecall((1,), np.array([1.0]))
    recall.update(1, np.array([[1 - 1e-12]]), np.zeros(1, bool), np.ones(1))
    assert recall.summary()["AR@1"] == 100.0
    assert recall.curve(np.array([1.0])).tolist() == [[1.0]]


def test_crowds_are_no_objects_and_are_never_used_up():
    ious, crowd = np.array([[0.9, 0.0], [0.9, 0.0], [0.9, 0.7]]), np.array([True, False])
    found = match_proposals(ious, crowd, crowd[None], np.array([0.5]))
    assert found[:, 0, 0].tolist() == [False, False, True]


def test_parts_add_up_and_an_image_seen_twice_counts_once():
    rng = np.random.default_rng(1)
    images = {k: (rng.random((8, 3)), np.zeros(3, bool), np.full(3, 10.0)) for k in range(4)}
    whole, one, other = AverageRecall((2, 5)), AverageRecall((2, 5)), AverageRecall((2, 5))
    for key, values in images.items():
        whole.update(key, *values)
        (one if key < 3 else other).update(key, *values)
    other.update(0, *images[0])
    one = AverageRecall((2, 5), images={**one.images, **other.images})
    np.testing.assert_array_equal(one.recalls(), whole.recalls())
    assert one.summary(continuous=True) == pytest.approx(
        whole.summary(continuous=True), nan_ok=True
    )


def test_no_image_gives_nan():
    recall = AverageRecall()
    assert all(math.isnan(v) for v in recall.summary().values())
    assert all(math.isnan(v) for v in recall.summary(continuous=True).values())
    assert np.isnan(recall.curve(np.array([0.5]))).all()
    assert len(recall.summary()) == 3 * len(SIZES)


def test_wrong_shapes_and_limits_are_refused():
    with pytest.raises(ValueError, match="expected"):
        AverageRecall().update(1, np.zeros((2, 3)), np.zeros(2, bool), np.zeros(2))
    with pytest.raises(ValueError, match="increasing"):
        AverageRecall((10, 10))


def test_example_in_the_docstring():
    done = doctest.testmod(average_recall)
    assert done.attempted > 0
    assert done.failed == 0
