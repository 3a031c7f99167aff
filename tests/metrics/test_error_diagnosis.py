from __future__ import annotations

import math

import numpy as np
import pytest

from recseg_d2.metrics.error_diagnosis import FALSE_POSITIVES, KINDS, ErrorCounts, diagnose


def kinds_of(iou, scores, classes, true_classes, **options) -> list[str]:
    result = diagnose(np.array(iou), np.array(scores), classes, true_classes, **options)
    return [KINDS[i] for i in result.kinds]


def literal_kinds(iou, scores, classes, true_classes, ignored) -> list[str]:
    """One prediction after another, each rule as the sentence in the papers."""
    kinds: list[str] = [""] * len(scores)
    taken: set[int] = set()
    for k in sorted(range(len(scores)), key=lambda k: (-scores[k], k)):
        right = [n for n in range(len(true_classes)) if true_classes[n] == classes[k]]
        wrong = [n for n in range(len(true_classes)) if true_classes[n] != classes[k]]
        free = sorted((n for n in right if n not in taken), key=lambda n: (-iou[k][n], n))
        if free and iou[k][free[0]] >= 0.5:
            kinds[k] = "TP"
            taken.add(free[0])
        elif ignored[k] >= 0.5:
            kinds[k] = "ignored"
        elif any(iou[k][n] >= 0.5 for n in right):
            kinds[k] = "Dup"
        elif any(iou[k][n] >= 0.1 for n in right):
            kinds[k] = "Loc"
        elif any(iou[k][n] >= 0.5 for n in wrong):
            kinds[k] = "Cls"
        elif any(iou[k][n] >= 0.1 for n in wrong):
            kinds[k] = "Loc+Cls"
        else:
            kinds[k] = "Bg"
    return kinds


@pytest.mark.parametrize("seed", range(20))
def test_against_the_literal_rules(seed):
    rng = np.random.default_rng(seed)
    k, n = rng.integers(0, 9), rng.integers(0, 6)
    iou = rng.uniform(0, 1, (k, n)) ** 2
    scores = rng.integers(0, 4, k) / 4  # with equal ones
    classes, true_classes = rng.integers(0, 2, k), rng.integers(0, 2, n)
    ignored = rng.uniform(0, 0.7, k)
    assert kinds_of(iou, scores, classes, true_classes, ignored=ignored) == literal_kinds(
        iou, scores, classes, true_classes, ignored
    )


@pytest.mark.parametrize(
    ("iou", "classes", "true_classes", "expected"),
    [
        ([[0.6]], [0], [0], ["TP"]),
        ([[0.5]], [0], [0], ["TP"]),  # the threshold itself is enough
        ([[0.49]], [0], [0], ["Loc"]),
        ([[0.1]], [0], [0], ["Loc"]),
        ([[0.09]], [0], [0], ["Bg"]),
        ([[0.9], [0.8]], [0, 0], [0], ["TP", "Dup"]),
        ([[0.7]], [1], [0], ["Cls"]),
        ([[0.3]], [1], [0], ["Loc+Cls"]),
        ([[0.05]], [1], [0], ["Bg"]),
        ([[0.2, 0.9]], [0], [0, 1], ["Loc"]),  # the right class is looked at first
        ([[0.9, 0.6], [0.8, 0.0]], [0, 0], [0, 0], ["TP", "Dup"]),
    ],
)
def test_by_hand(iou, classes, true_classes, expected):
    scores = np.linspace(0.9, 0.5, len(iou))
    assert kinds_of(iou, scores, np.array(classes), np.array(true_classes)) == expected


def test_the_higher_score_chooses_first():
    classes = np.zeros(2, int)
    assert kinds_of([[0.9], [0.6]], [0.1, 0.8], classes, np.zeros(1, int)) == ["Dup", "TP"]


def test_another_threshold():
    one = np.zeros(1, int)
    assert kinds_of([[0.6]], [1.0], one, one, threshold=0.75) == ["Loc"]


def test_nothing_predicted_and_nothing_there():
    none, one = np.zeros(0, int), np.zeros(1, int)
    missed = diagnose(np.zeros((0, 1)), np.zeros(0), none, one)
    assert missed.found.tolist() == [False]
    assert kinds_of(np.zeros((1, 0)), [0.5], one, none) == ["Bg"]
    assert kinds_of(np.zeros((0, 0)), [], none, none) == []


def test_in_an_ignored_region_only_a_hit_counts():
    one, two = np.zeros(1, int), np.zeros(2, int)
    result = kinds_of([[0.8], [0.0]], [0.9, 0.8], two, one, ignored=np.array([1.0, 0.5]))
    assert result == ["TP", "ignored"]


def test_counts_by_class_and_shares():
    counts = ErrorCounts(2)
    iou = np.array([[0.9, 0.0], [0.7, 0.0], [0.0, 0.3], [0.0, 0.6], [0.0, 0.0]])
    classes, truth = np.array([0, 0, 1, 0, 1]), np.array([0, 1])
    result = diagnose(iou, np.linspace(0.9, 0.5, 5), classes, truth)
    counts.update(result, classes, truth)
    counts.update(diagnose(np.zeros((0, 1)), [], [], [1]), [], [1])
    named = [dict(zip(KINDS, row, strict=True)) for row in counts.kinds.tolist()]
    assert {k: v for k, v in named[0].items() if v} == {"TP": 1, "Dup": 1, "Cls": 1}
    assert {k: v for k, v in named[1].items() if v} == {"Loc": 1, "Bg": 1}
    assert counts.objects.tolist() == [1, 2]
    assert counts.missed.tolist() == [0, 2]
    shares = counts.false_positive_shares()
    assert shares == {"Loc": 0.25, "Bg": 0.25, "Dup": 0.25, "Cls": 0.25, "Loc+Cls": 0.0}
    assert tuple(shares) == FALSE_POSITIVES


def test_no_false_positive_has_no_share():
    assert all(math.isnan(share) for share in ErrorCounts(1).false_positive_shares().values())
