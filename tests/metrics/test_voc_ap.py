from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from recseg_d2.metrics.voc_ap import (
    Curve,
    ImageDetections,
    area_ap,
    coco_ap,
    eleven_point_ap,
    mean_over_classes,
    precision_recall_curve,
)

SEEDS = st.integers(0, 10_000)
THRESHOLDS = (0.5, 0.6, 0.7, 0.8)


def detections(scores, overlaps, classes=None, ignored=None, difficult=None) -> ImageDetections:
    """One image whose objects and detections are all of class 0 unless told otherwise."""
    overlaps = np.asarray(overlaps, dtype=float)
    count = overlaps.shape[1]
    return ImageDetections(
        scores=np.asarray(scores, dtype=float),
        classes=np.zeros(len(scores), int) if classes is None else np.asarray(classes),
        overlaps=overlaps,
        ignored_shares=np.zeros(len(scores)) if ignored is None else np.asarray(ignored, float),
        true_classes=np.zeros(count, int),
        difficult=np.zeros(count, bool) if difficult is None else np.asarray(difficult, bool),
    )


def random_image(rng: np.random.Generator, classes: int = 2) -> ImageDetections:
    """Random overlaps, with ties between scores and between overlaps."""
    p, g = int(rng.integers(0, 7)), int(rng.integers(0, 4))
    overlaps = rng.choice([0.0, 0.3, 0.5, 0.6, 0.75, 0.8, 1.0], (p, g))
    return ImageDetections(
        scores=rng.choice([0.1, 0.4, 0.4, 0.9], p),
        classes=rng.integers(0, classes, p),
        overlaps=overlaps,
        ignored_shares=rng.choice([0.0, 0.0, 0.5, 1.0], p),
        true_classes=rng.integers(0, classes, g),
        difficult=rng.random(g) < 0.2,
    )


def slow_voc_labels(images: list[ImageDetections], index: int, threshold: float) -> list[bool]:
    """True and false positives over all images by descending score, one detection at a time."""
    everything = [
        (-image.scores[k], i, k)
        for i, image in enumerate(images)
        for k in range(len(image.scores))
        if image.classes[k] == index
    ]
    claimed, labels = set(), []
    for _, i, k in sorted(everything):
        image = images[i]
        objects = [g for g in range(len(image.true_classes)) if image.true_classes[g] == index]
        real = [g for g in objects if not image.difficult[g]]
        best = max(real, key=lambda g: image.overlaps[k, g], default=None)
        if best is not None and image.overlaps[k, best] >= threshold:
            labels.append((i, best) not in claimed)
            claimed.add((i, best))
            continue
        near = [image.overlaps[k, g] for g in objects if image.difficult[g]]
        if max([*near, image.ignored_shares[k]]) < threshold:
            labels.append(False)
    return labels


def slow_points(labels: list[bool], num_true: int) -> list[tuple[float, float]]:
    """(recall, precision) after each detection."""
    points, right = [], 0
    for n, label in enumerate(labels, start=1):
        right += label
        points.append((right / num_true, right / n))
    return points


def slow_mean_at(points: list[tuple[float, float]], recalls: list[float]) -> float:
    best = [max((p for r, p in points if r >= wanted), default=0.0) for wanted in recalls]
    return sum(best) / len(best)


def slow_area(points: list[tuple[float, float]]) -> float:
    area, before = 0.0, 0.0
    for k, (recall, _) in enumerate(points):
        area += (recall - before) * max(p for _, p in points[k:])
        before = recall
    return area


@given(SEEDS)
def test_equal_to_the_literal_definition(seed):
    rng = np.random.default_rng(seed)
    images = [random_image(rng) for _ in range(3)]
    for index in range(2):
        true = sum(int(((i.true_classes == index) & ~i.difficult).sum()) for i in images)
        for threshold in (0.5, 0.7):
            curve = precision_recall_curve(images, index, threshold)
            assert curve.num_true == true
            if true == 0:
                assert math.isnan(eleven_point_ap(curve))
                continue
            points = slow_points(slow_voc_labels(images, index, threshold), true)
            tenths = [k / 10 for k in range(11)]
            assert eleven_point_ap(curve) == pytest.approx(slow_mean_at(points, tenths))
            assert area_ap(curve) == pytest.approx(slow_area(points))


def test_by_hand():
    """Four detections of three objects: right, duplicate, right, wrong; one object is missed."""
    overlaps = [[0.9, 0, 0], [0.8, 0, 0], [0, 0.6, 0], [0, 0, 0.2]]
    images = [detections([0.9, 0.8, 0.7, 0.6], overlaps)]
    curve = precision_recall_curve(images, 0, 0.5)
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    assert curve.recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    # recall 0, .1, .2, .3: 1; .4, .5, .6: 2/3; from .7: 0
    assert eleven_point_ap(curve) == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    assert area_ap(curve) == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    # recall 0 to .33: 34 points at 1; .34 to .66: 33 points at 2/3
    assert coco_ap(curve) == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    strict = precision_recall_curve(images, 0, 0.7)
    assert area_ap(strict) == pytest.approx(1 / 3)


def test_an_iou_equal_to_the_threshold_is_enough():
    assert area_ap(precision_recall_curve([detections([1.0], [[0.5]])], 0, 0.5)) == 1.0
    assert area_ap(precision_recall_curve([detections([1.0], [[0.499]])], 0, 0.5)) == 0.0


def test_rules_differ_where_two_objects_are_reached():
    """Voc: both belong to the first object. Coco: the second detection takes the second object."""
    images = [detections([0.9, 0.8], [[0.9, 0.5], [0.8, 0.7]])]
    assert precision_recall_curve(images, 0, 0.5, "voc").precision.tolist() == [1.0, 0.5]
    assert precision_recall_curve(images, 0, 0.5, "coco").precision.tolist() == [1.0, 1.0]


def test_duplicates_are_false_and_of_equal_scores_the_first_is_right():
    images = [detections([0.5, 0.5, 0.5], [[0.6], [0.9], [0.7]])]
    curve = precision_recall_curve(images, 0, 0.5)
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    assert curve.recall.tolist() == [1.0, 1.0, 1.0]


def test_difficult_objects_and_ignored_regions_count_neither_way():
    images = [
        detections(
            [0.9, 0.8, 0.7, 0.6],
            [[0.9, 0], [0.9, 0], [0, 0.9], [0, 0]],
            ignored=[0, 0, 0, 0.6],
            difficult=[True, False],
        )
    ]
    curve = precision_recall_curve(images, 0, 0.5)
    assert (curve.num_true, curve.precision.tolist(), curve.recall.tolist()) == (1, [1.0], [1.0])
    strict = precision_recall_curve(images, 0, 0.7)  # the region's share no longer reaches it
    assert strict.precision.tolist() == [1.0, 0.5]


def test_another_class_is_neither_found_nor_false():
    images = [detections([0.9, 0.8], [[1.0], [1.0]], classes=[1, 0])]
    assert area_ap(precision_recall_curve(images, 0, 0.5)) == 1.0
    assert precision_recall_curve(images, 1, 0.5).num_true == 0


@pytest.mark.parametrize("ap", [eleven_point_ap, area_ap, coco_ap])
def test_empty_cases(ap):
    nothing_found = precision_recall_curve([detections([], np.zeros((0, 3)))], 0, 0.5)
    assert ap(nothing_found) == 0.0
    nothing_there = precision_recall_curve([detections([0.9], np.zeros((1, 0)))], 0, 0.5)
    assert math.isnan(ap(nothing_there))
    assert math.isnan(ap(precision_recall_curve([], 0, 0.5)))
    perfect = Curve(np.ones(3), np.array([1 / 3, 2 / 3, 1.0]), 3)
    assert ap(perfect) == 1.0


def test_mean_leaves_out_classes_without_objects():
    assert mean_over_classes([0.5, math.nan, 1.0]) == 0.75
    assert math.isnan(mean_over_classes([math.nan]))
    assert math.isnan(mean_over_classes([]))


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"'hoiem'.*voc, coco"):
        precision_recall_curve([], 0, 0.5, "hoiem")


def random_masks(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Rectangles in a small image."""
    masks = []
    for _ in range(count):
        y, x = rng.integers(0, 6, 2)
        masks.append(np.zeros((10, 10), np.uint8, order="F"))
        masks[-1][y : y + rng.integers(2, 5), x : x + rng.integers(2, 5)] = 1
    return masks


def rle(mask: np.ndarray) -> dict:
    return coco_mask.encode(np.asfortranarray(mask))


def coco_reference(scenes: list[dict], threshold: float) -> float:
    """pycocotools' AP over the same masks; NaN where it says -1."""
    dataset = {"images": [], "annotations": [], "categories": [{"id": 1}], "info": {}}
    results = []
    for i, scene in enumerate(scenes, start=1):
        dataset["images"].append({"id": i, "height": 10, "width": 10})
        objects = [(m, 0) for m in scene["true"]] + [(m, 1) for m in scene["crowd"]]
        for mask, crowd in objects:
            annotation = {"segmentation": rle(mask), "area": int(mask.sum()), "iscrowd": crowd}
            number = len(dataset["annotations"]) + 1
            dataset["annotations"].append(
                {**annotation, "id": number, "image_id": i, "category_id": 1}
            )
        for mask, score in zip(scene["found"], scene["scores"], strict=True):
            found = {"image_id": i, "category_id": 1, "segmentation": rle(mask), "score": score}
            results.append(found)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.iouThrs = np.array([threshold])
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, 0, 0, -1]
    return float(precision.mean()) if precision[0] > -1 else math.nan


def as_detections(scene: dict) -> ImageDetections:
    found, true = [rle(m) for m in scene["found"]], [rle(m) for m in scene["true"]]
    shape = (len(found), len(true))
    overlaps = np.array(coco_mask.iou(found, true, [0] * len(true)), float).reshape(shape)
    shares = np.zeros(len(found))
    for mask in scene["crowd"]:
        shares = np.array(coco_mask.iou(found, [rle(mask)], [1])).reshape(len(found))
    return detections(scene["scores"], overlaps, ignored=shares)


@given(SEEDS)
def test_coco_rule_equals_pycocotools(seed):
    rng = np.random.default_rng(seed)
    scenes = []
    for _ in range(3):
        count = int(rng.integers(1, 6))
        true = random_masks(rng, int(rng.integers(0, 4)))
        copies = [true[k] for k in rng.integers(0, len(true), 2)] if true else []
        found = (copies + random_masks(rng, count))[:count]
        scores = rng.choice([0.2, 0.5, 0.5, 0.8], count).tolist()
        crowd = random_masks(rng, int(rng.integers(0, 2)))
        scenes.append({"true": true, "found": found, "scores": scores, "crowd": crowd})
    images = [as_detections(scene) for scene in scenes]
    for threshold in THRESHOLDS:
        ap = coco_ap(precision_recall_curve(images, 0, threshold, "coco"))
        assert ap == pytest.approx(coco_reference(scenes, threshold), abs=1e-9, nan_ok=True)


def test_coco_keeps_a_hundred_detections_of_an_image():
    scores = np.linspace(1.0, 0.5, 101)
    overlaps = np.zeros((101, 1))
    overlaps[100] = 1.0
    images = [detections(scores, overlaps)]
    assert coco_ap(precision_recall_curve(images, 0, 0.5, "coco")) == 0.0
    assert area_ap(precision_recall_curve(images, 0, 0.5, "voc")) == pytest.approx(1 / 101)
