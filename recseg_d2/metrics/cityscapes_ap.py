"""Average precision by the rules of the Cityscapes benchmark.

Source: Cordts et al. 2016, section 4, and the behaviour of the public scripts, version 2.3.0, whose
numbers these are. All values are shares in [0, 1].

For a class, an IoU threshold and a range of objects:

- objects are the instances in the range: at least so many pixels, and for the ranges by distance,
  at most so far, known for at least so much of them. Groups are never objects;
- a prediction over (not at) the threshold with an object is right, but of several on the same
  object only the one with the highest score is; the others are false positives;
- one over the threshold with a group, or with an instance out of the range, is dropped; so is any
  other of which more than the threshold's share lies in void, groups and instances out of the range
  of its class (small groups count twice there, as in the scripts); all others are false positives;
- precision and recall at each distinct score, closed by precision 1 at recall 0, are integrated by
  the trapezoid rule, which is what the scripts' kernel amounts to.

No object of a class: NaN, left out of means. Objects but no prediction: 0. Where all predictions
are dropped the scripts fail; here this is 0 too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recseg_d2.metrics.cityscapes_matching import FIRST_INSTANCE, SceneMatches, label_of
from recseg_d2.metrics.overlap import pairwise_iou
from recseg_d2.metrics.voc_ap import mean_over_classes

THRESHOLDS = np.arange(0.5, 1.0, 0.05)  # the scripts' own floats: an IoU of 0.6 depends on them


@dataclass(frozen=True)
class ObjectRange:
    """Which instances are objects.

    Attributes:
        min_pixels: least number of pixels of an object.
        max_distance: greatest median distance of an object in metres.
        min_density: least share of an object's pixels of which the distance is known.
    """

    min_pixels: int
    max_distance: float
    min_density: float

    def holds(self, pixels: np.ndarray, distances: np.ndarray, densities: np.ndarray) -> np.ndarray:
        """(G,) bool, see ``cityscapes_matching.TrueScene`` for the arguments."""
        near = (distances <= self.max_distance) & (densities >= self.min_density)
        return near & (pixels >= self.min_pixels)


ALL = ObjectRange(min_pixels=100, max_distance=math.inf, min_density=-math.inf)
WITHIN_100_M = ObjectRange(min_pixels=1000, max_distance=100.0, min_density=0.5)
WITHIN_50_M = ObjectRange(min_pixels=1000, max_distance=50.0, min_density=0.5)


@dataclass(frozen=True)
class _Pool:
    """A class over all images: N predictions, M segments.

    ``best_iou`` and ``best`` (N,) are a prediction's highest IoU and the segment it is with, -1
    without any; ``ignored_share`` (N,) is its share in what does not count, ``is_object`` (M,).
    """

    scores: np.ndarray
    best_iou: np.ndarray
    best: np.ndarray
    ignored_share: np.ndarray
    is_object: np.ndarray


def average_precision(
    images: Sequence[SceneMatches], label_id: int, objects: ObjectRange = ALL
) -> np.ndarray:
    """AP of a class at each of ``THRESHOLDS``.

    Thresholds of 0.5 and more let a prediction exceed them with one segment only, as segments do
    not overlap, so each prediction needs to be compared with its best segment alone.

    Args:
        images: matches of the images, in any order; ties between scores do not matter.
        label_id: Cityscapes' label id of the class.
        objects: the range of sizes and distances of the objects that count.

    Returns:
        (10,) float64 in [0, 1], or all NaN.
    """
    pool = _pool(images, label_id, objects)
    count = int(np.count_nonzero(pool.is_object))
    if count == 0:
        return np.full(len(THRESHOLDS), np.nan)
    return np.array([_ap_at(pool, threshold, count) for threshold in THRESHOLDS.tolist()])


def summarize(
    images: Sequence[SceneMatches], classes: dict[str, int]
) -> dict[str, dict[str, float]]:
    """The benchmark's numbers of each class and their means.

    Args:
        images: matches of predictions and ground truth, of all images.
        classes: label id of each class by its name.

    Returns:
        {class or "average": {"AP": .., "AP50%": .., "AP100m": .., "AP50m": .., "AP50%50m": ..}};
        without those by distance unless all images have distances.
    """
    ranges = {"": ALL}
    if images and all(image.has_distances for image in images):
        ranges |= {"100m": WITHIN_100_M, "50m": WITHIN_50_M}
    scores: dict[str, dict[str, float]] = {}
    for name, label_id in classes.items():
        at = {key: average_precision(images, label_id, ranges[key]) for key in ranges}
        scores[name] = {"AP": float(at[""].mean()), "AP50%": float(at[""][0])}
        if len(ranges) > 1:
            scores[name] |= {f"AP{key}": float(at[key].mean()) for key in ("100m", "50m")}
            scores[name]["AP50%50m"] = float(at["50m"][0])
    keys = next(iter(scores.values())).keys()
    scores["average"] = {key: mean_over_classes([s[key] for s in scores.values()]) for key in keys}
    return scores


def _pool(images: Sequence[SceneMatches], label_id: int, objects: ObjectRange) -> _Pool:
    parts: list[tuple[np.ndarray, ...]] = [(np.zeros(0),) * 5]
    offset = 0
    for image in images:
        rows = image.labels == label_id
        columns = label_of(image.ids) == label_id
        areas, pixels = image.areas[rows], image.pixels[columns]
        shared = image.intersections[rows][:, columns]
        in_range = objects.holds(pixels, image.distances[columns], image.densities[columns])
        is_group = image.ids[columns] < FIRST_INSTANCE
        ignored = image.void[rows] + shared @ (is_group.astype(np.int64) + ~in_range)
        # A column of -1 stands for no segment, for images without any of the class.
        iou = pairwise_iou(shared, areas, pixels)
        iou = np.concatenate([iou, np.full((len(areas), 1), -1.0)], axis=1)
        best = iou.argmax(axis=1)
        best_iou = iou.max(axis=1)
        best = np.where(best_iou > 0, best + offset, -1)
        parts.append((image.scores[rows], best_iou, best, ignored / areas, in_range & ~is_group))
        offset += len(pixels)
    scores, best_iou, best, share, is_object = map(np.concatenate, zip(*parts, strict=True))
    return _Pool(scores, best_iou, best.astype(np.int64), share, is_object.astype(bool))


def _ap_at(pool: _Pool, threshold: float, count: int) -> float:
    over = pool.best_iou > threshold
    on_object = np.flatnonzero(over)
    on_object = on_object[pool.is_object[pool.best[on_object]]]
    on_object = on_object[np.argsort(-pool.scores[on_object], kind="stable")]
    _, first = np.unique(pool.best[on_object], return_index=True)
    right = np.zeros(len(on_object), dtype=bool)
    right[first] = True
    astray = np.flatnonzero(~over & (pool.ignored_share <= threshold))
    scores = np.concatenate([pool.scores[on_object], pool.scores[astray]])
    return _area(scores, np.concatenate([right, np.zeros(len(astray), dtype=bool)]), count)


def _area(scores: np.ndarray, right: np.ndarray, count: int) -> float:
    """Area under precision over recall; ``right`` (n,) tells of each score whether it is right."""
    order = np.argsort(-scores, kind="stable")
    # predictions of equal score come and go together: there is a point of the curve for each
    # distinct one
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # the last of each distinct score
    true_positives = np.cumsum(right[order])[ends]
    recall = np.append(0.0, true_positives / count)
    precision = np.append(1.0, true_positives / (ends + 1))
    return float(np.diff(recall) @ (precision[1:] + precision[:-1]) / 2)
