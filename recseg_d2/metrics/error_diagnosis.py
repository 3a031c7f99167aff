"""What kind of mistake each prediction is, and which objects were missed.

Sources: Hoiem et al. 2012, "Diagnosing Error in Object Detectors"; Salvador et al. 2017, section
4.4 and figure 3. Hoiem's classes of false positives, for masks:

    Dup      right class, IoU of ``threshold`` or more with an object that is found already
    Loc      right class, IoU in [0.1, threshold)
    Cls      wrong class, IoU of ``threshold`` or more
    Loc+Cls  wrong class, IoU in [0.1, threshold)
    Bg       all that is left: IoU below 0.1 with everything

The first that holds counts, in this order: Hoiem looks at the right class before other ones.
Shape letters: K predictions, N true objects of an image, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MATCH_IOU = 0.5
NEAR_IOU = 0.1  # below it a prediction has nothing to do with an object
IGNORED_SHARE = 0.5  # of a prediction's area within ignored regions, from which it does not count

KINDS = ("TP", "Dup", "Loc", "Cls", "Loc+Cls", "Bg", "ignored")
FALSE_POSITIVES = ("Loc", "Bg", "Dup", "Cls", "Loc+Cls")  # in the order of the paper's figure 3a
TP, DUP, LOC, CLS, LOC_CLS, BG, IGNORED = range(len(KINDS))


@dataclass(frozen=True)
class Diagnosis:
    """What became of an image.

    Attributes:
        kinds: (K,) int64, index in ``KINDS``.
        match: (K,) int64, the object that a true positive found; -1 for others.
        found: (N,) bool, whether a true positive found it.
    """

    kinds: np.ndarray
    match: np.ndarray
    found: np.ndarray


def diagnose(
    iou: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray,
    true_classes: np.ndarray,
    ignored: np.ndarray | None = None,
    threshold: float = MATCH_IOU,
) -> Diagnosis:
    """Sort the predictions of an image into ``KINDS``.

    Predictions choose in the order of their scores (of equal ones the first): each takes the object
    of its class, not yet taken, with which its IoU is highest, if that is ``threshold`` or more.

    Args:
        iou: (K, N) in [0, 1], IoU of each predicted mask with each true one.
        scores: (K,) float, the greater the more certain.
        classes: (K,) integers, the class of each prediction.
        true_classes: (N,) integers, the class of each true object.
        ignored: (K,) share of each prediction's area within ignored regions; None is none.
        threshold: IoU from which an object counts as found.
    """
    iou = np.asarray(iou, dtype=float).reshape(len(scores), len(true_classes))
    same = np.asarray(classes)[:, None] == np.asarray(true_classes)[None]
    # only objects of the predicted class can be matched
    match = _match_greedily(np.where(same, iou, -1.0), np.asarray(scores), threshold)
    right = np.where(same, iou, 0.0).max(axis=1, initial=0.0)
    wrong = np.where(same, 0.0, iou).max(axis=1, initial=0.0)
    # np.select takes the first that holds: the order is that of the paper's definitions
    conditions = (
        match >= 0,
        np.zeros(len(match), bool) if ignored is None else np.asarray(ignored) >= IGNORED_SHARE,
        right >= threshold,
        right >= NEAR_IOU,
        wrong >= threshold,
        wrong >= NEAR_IOU,
    )
    kinds = np.select(conditions, (TP, IGNORED, DUP, LOC, CLS, LOC_CLS), default=BG)
    found = np.zeros(len(true_classes), dtype=bool)
    found[match[match >= 0]] = True
    return Diagnosis(kinds.astype(np.int64), match, found)


def _match_greedily(iou: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """(K,) index of the object that each prediction takes, or -1."""
    match = np.full(len(scores), -1, dtype=np.int64)
    free = iou.copy()
    for k in np.argsort(-scores, kind="stable") if iou.size else ():
        best = int(free[k].argmax())
        if free[k, best] >= threshold:
            match[k] = best
            # each object can be found once; a second prediction of it is a duplicate
            free[:, best] = -1.0
    return match


class ErrorCounts:
    """Kinds of predictions and missed objects by class; additive.

    Args:
        num_classes: C, number of classes.

    Attributes:
        kinds: (C, 7) int64, predictions by their class and ``KINDS``.
        objects: (C,) int64, number of true objects of each class.
        missed: (C,) int64, those that no true positive found.
    """

    def __init__(self, num_classes: int) -> None:
        self.kinds = np.zeros((num_classes, len(KINDS)), dtype=np.int64)
        self.objects = np.zeros(num_classes, dtype=np.int64)
        self.missed = np.zeros(num_classes, dtype=np.int64)

    def update(self, result: Diagnosis, classes: np.ndarray, true_classes: np.ndarray) -> None:
        """Add an image: its diagnosis, (K,) predicted and (N,) true classes."""
        np.add.at(self.kinds, (np.asarray(classes, dtype=np.int64), result.kinds), 1)
        true_classes = np.asarray(true_classes, dtype=np.int64)
        np.add.at(self.objects, true_classes, 1)
        np.add.at(self.missed, true_classes[~result.found], 1)

    def false_positive_shares(self) -> dict[str, float]:
        """Share of each kind among all false positives, in [0, 1]; NaN where there is none."""
        counts = {kind: int(self.kinds[:, KINDS.index(kind)].sum()) for kind in FALSE_POSITIVES}
        total = sum(counts.values())
        return {kind: n / total if total else float("nan") for kind, n in counts.items()}
