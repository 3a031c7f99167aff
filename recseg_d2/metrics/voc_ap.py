"""Average precision of masks as Pascal VOC and COCO count it (AP^r, "r" for region). Numpy only.

Sources: Everingham et al. 2010, section 4.2 (matching, 11-point mean) and VOC 2010's area under the
curve; Hariharan et al. 2014 for masks in place of boxes; COCO's evaluation for the matching and the
101-point mean with which RSIS reports AP at .5 to .8. All values are shares in [0, 1].

Detections of a class go through in the order of their scores (of equal scores the first given), and
each is a true positive, a false positive or dropped:

- rule "voc": it belongs to the object of its class with the highest IoU, if that reaches the
  threshold (an IoU equal to it does); the first one is right, every later one a false positive;
- rule "coco": it takes the object with the highest IoU among those not taken yet;
- one that found no object is dropped, not false, if it reaches the threshold with a difficult
  object, or if that share of it or more lies in ignored regions (crowds, void). Difficult objects
  need not be found.

Shape letters: P detections and G true objects of an image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

RULES = ("voc", "coco")
COCO_DETECTIONS = 100  # of an image and class, those of the highest scores, by rule "coco"
_DROPPED, _FALSE, _TRUE = -1, 0, 1


@dataclass(frozen=True)
class ImageDetections:
    """What is needed of an image: small arrays, no masks. Collections of them add up.

    Attributes:
        scores: (P,) float, higher is more certain.
        classes: (P,) int, predicted class.
        overlaps: (P, G) float, IoU of the masks.
        ignored_shares: (P,) float, share of each detection's area in regions that do not count.
        true_classes: (G,) int, the class of each true object.
        difficult: (G,) bool, which true objects are marked as difficult, and not counted.
    """

    scores: np.ndarray
    classes: np.ndarray
    overlaps: np.ndarray
    ignored_shares: np.ndarray
    true_classes: np.ndarray
    difficult: np.ndarray

    def of_class(self, index: int) -> ImageDetections:
        """Only the detections and objects of a class, by descending score."""
        found = np.flatnonzero(self.classes == index)
        # stable, so that equal scores keep the model's order
        found = found[np.argsort(-self.scores[found], kind="stable")]
        true = self.true_classes == index
        return ImageDetections(
            self.scores[found],
            self.classes[found],
            self.overlaps[found][:, true],
            self.ignored_shares[found],
            self.true_classes[true],
            self.difficult[true],
        )


@dataclass(frozen=True)
class Curve:
    """Precision and recall after each detection of a class that counts, by descending score.

    Attributes:
        precision: (n,) float in [0, 1], precision after each of n detections.
        recall: (n,) float, ascending; NaN where there is no object.
        num_true: number of objects to be found.
    """

    precision: np.ndarray
    recall: np.ndarray
    num_true: int


def precision_recall_curve(
    images: Iterable[ImageDetections], index: int, threshold: float, rule: str = "voc"
) -> Curve:
    """Pool a class over images.

    Args:
        images: detections of the images, in an order that does not change, as it breaks ties
            between scores.
        index: number of the class, from 0.
        threshold: IoU from which an object counts as found, in (0, 1].
        rule: how detections are assigned to objects, one of ``RULES``.

    Raises:
        ValueError: an unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"found rule {rule!r}, expected one of {', '.join(RULES)}")
    scores, labels, num_true = [np.zeros(0)], [np.zeros(0, np.int64)], 0
    for image in images:
        one = image.of_class(index)
        kept = slice(COCO_DETECTIONS if rule == "coco" else None)
        scores.append(one.scores[kept])
        labels.append(_label(one, threshold, once_each=rule == "coco")[kept])
        num_true += int(np.count_nonzero(~one.difficult))
    return _curve(np.concatenate(scores), np.concatenate(labels), num_true)


def eleven_point_ap(curve: Curve) -> float:
    r"""VOC 2007's AP, with which AP^r is usually reported.

    .. math:: AP = \frac{1}{11} \sum_{r \in \{0, .1, ..., 1\}} \max_{r' \ge r} p(r')

    Returns:
        A share in [0, 1]; NaN if there is no object (to be left out of means over classes), else 0
        if nothing was detected.
    """
    return _mean_at(curve, np.arange(11) / 10)


def area_ap(curve: Curve) -> float:
    r"""VOC 2010's AP, the area under the monotone curve.

    .. math:: AP = \sum_k (r_k - r_{k-1}) \max_{j \ge k} p_j

    Returns:
        As ``eleven_point_ap``.
    """
    if curve.num_true == 0:
        return math.nan
    steps = np.diff(curve.recall, prepend=0.0)
    return float(steps @ _envelope(curve.precision))


def coco_ap(curve: Curve) -> float:
    """COCO's AP, the mean of the interpolated precision at 101 recalls 0, 0.01, ..., 1.

    Returns:
        As ``eleven_point_ap``; COCO's own tools return -1 for a class without objects.
    """
    return _mean_at(curve, np.linspace(0.0, 1.0, 101))


def mean_over_classes(values: Sequence[float]) -> float:
    """Mean of the classes' AP; those without objects (NaN) are left out. NaN if all are."""
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _label(one: ImageDetections, threshold: float, once_each: bool) -> np.ndarray:
    """(P,) what the detections of an image and class are, given by descending score."""
    real = np.where(one.difficult, -1.0, one.overlaps)
    near_difficult = np.where(one.difficult, one.overlaps, -1.0) >= threshold
    # finding a difficult object is no mistake and no merit
    excused = near_difficult.any(axis=1) | (one.ignored_shares >= threshold)
    labels = np.where(excused, _DROPPED, _FALSE)
    taken = np.zeros(len(one.true_classes), dtype=bool)
    for k in np.flatnonzero((real >= threshold).any(axis=1)):
        candidates = np.where(taken, -1.0, real[k]) if once_each else real[k]
        # of equal overlaps COCO's tools take the last object, VOC's the first
        best = _last_argmax(candidates) if once_each else int(candidates.argmax())
        if candidates[best] < threshold:
            continue  # every object that it reaches is taken
        labels[k] = _FALSE if taken[best] else _TRUE
        taken[best] = True
    return labels


def _last_argmax(values: np.ndarray) -> int:
    """COCO's choice between objects with the same IoU."""
    return len(values) - 1 - int(values[::-1].argmax())


def _curve(scores: np.ndarray, labels: np.ndarray, num_true: int) -> Curve:
    order = np.argsort(-scores, kind="stable")
    labels = labels[order]
    right = (labels[labels != _DROPPED] == _TRUE).astype(np.int64)
    true_positives = np.cumsum(right)
    precision = true_positives / np.arange(1, len(right) + 1)
    # NaN, not 0: a class that no image shows says nothing about the model
    recall = true_positives / num_true if num_true else np.full(len(right), math.nan)
    return Curve(precision, recall, num_true)


def _envelope(precision: np.ndarray) -> np.ndarray:
    """The highest precision at this or any later point."""
    return np.maximum.accumulate(precision[::-1])[::-1]


def _mean_at(curve: Curve, recalls: np.ndarray) -> float:
    """Mean over recalls of the highest precision at that recall or more, 0 beyond the curve."""
    if curve.num_true == 0:
        return math.nan
    first = np.searchsorted(curve.recall, recalls, side="left")
    return float(np.append(_envelope(curve.precision), 0.0)[first].mean())
