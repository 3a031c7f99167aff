"""Scores of a folder of predictions, and the thresholds that suit training images best."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import SCORES, Settings
from recseg_d2.data.io.label_maps import read_label_map
from recseg_d2.metrics import ImageScores
from recseg_d2.metrics.overlap import count_overlap
from recseg_d2.metrics.voc_ap import ImageDetections, area_ap, precision_recall_curve

METRICS = ("sbd", "dic")
IOU = 0.5
DRAWS = 200  # of the bootstrap over images
PERCENT = 100.0


def score_counts(predicted: Path, truth: Path) -> ImageScores:
    """SBD, DiC and |DiC| of each image of a folder.

    Args:
        predicted: folder of label maps.
        truth: folder of true label maps of the same names; a missing prediction is an error.
    """
    scores = ImageScores(METRICS)
    for path in sorted(truth.glob("*.png")):
        scores.update(path.stem, read_label_map(predicted / path.name), read_label_map(path))
    return scores


def criterion(scores: ImageScores) -> float:
    """What thresholds are chosen by, higher is better: mean SBD (0 to 100) minus mean |DiC|."""
    mean = scores.statistic("mean")
    return mean["SBD"] - mean["absDiC"]


def read_detections(predicted: Path, truth: Path) -> list[ImageDetections]:
    """The detections of each image: the labels of its label map with their scores.

    Args:
        predicted: folder of label maps and of ``scores.json``.
        truth: folder of true label maps.
    """
    scores = json.loads((predicted / SCORES).read_text())
    images = []
    for path in sorted(truth.glob("*.png")):
        found = read_label_map(predicted / path.name)
        table = count_overlap(found, read_label_map(path))
        labels = np.unique(found[found > 0])
        of_labels = np.array(scores[path.stem], dtype=float)[labels - 1]
        images.append(_detections(of_labels, table.iou))
    return images


def average_precision(images: Sequence[ImageDetections]) -> float:
    """AP of masks at an IoU of 0.5, pooled over images, in 0..100.

    The area under the curve of all detections: COCO's counting stops at 100 an image, and images
    of nuclei have more.
    """
    return PERCENT * area_ap(precision_recall_curve(images, 0, IOU, rule="voc"))


def bootstrap_error(images: Sequence[ImageDetections], draws: int = DRAWS) -> float:
    """Standard error of ``average_precision`` over images: of samples drawn with replacement."""
    rng = np.random.default_rng(0)
    values = [
        average_precision([images[k] for k in rng.integers(len(images), size=len(images))])
        for _ in range(draws)
    ]
    return float(np.nanstd(values, ddof=1))


def standard_error(values: Sequence[float]) -> float:
    """Of a mean over images; NaN for fewer than two."""
    if len(values) < 2:
        return math.nan
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def combinations(thresholds: Mapping[str, Sequence[float]]) -> list[Settings]:
    """Every choice of one value a threshold."""
    return [
        dict(zip(thresholds, values, strict=True))
        for values in itertools.product(*thresholds.values())
    ]


def choose(folder: Path, truth: Path, settings: Sequence[Settings]) -> tuple[Settings, float]:
    """The settings whose predictions score best by ``criterion``, and their value.

    Args:
        folder: its folders 0/, 1/, ... hold the predictions of each of the settings.
        truth: folder of true label maps.
        settings: of equal ones the first wins.
    """
    values = [criterion(score_counts(folder / str(k), truth)) for k in range(len(settings))]
    best = int(np.argmax(values))
    return settings[best], values[best]


def evaluate(predicted: Path, ranked: Path, truth: Path) -> dict[str, Any]:
    """All scores of a run.

    Args:
        predicted: predictions as a user gets them, for SBD and DiC.
        ranked: predictions with detections of low score, for AP.
        truth: folder of true label maps.

    Returns:
        {"images": {image: {"SBD", "DiC", "absDiC"}}, "AP50": value, "AP50_error": value}.
    """
    detections = read_detections(ranked, truth)
    counts = score_counts(predicted, truth)
    return {
        "images": {name: counts.of_image(name) for name in counts.images},
        "AP50": average_precision(detections),
        "AP50_error": bootstrap_error(detections),
    }


def _detections(scores: np.ndarray, overlaps: np.ndarray) -> ImageDetections:
    found, true = overlaps.shape
    return ImageDetections(
        scores=scores,
        classes=np.zeros(found, np.int64),
        overlaps=overlaps,
        ignored_shares=np.zeros(found),
        true_classes=np.zeros(true, np.int64),
        difficult=np.zeros(true, bool),
    )
