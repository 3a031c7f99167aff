"""The metrics that can be asked for by name, as tools and evaluators report them. Numpy only.

To add one: a function from ``Overlap`` (prediction, ground truth) to its numbers for one image, and
a line in ``METRICS`` that names these numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from recseg_d2.errors import UserError
from recseg_d2.metrics.counting import difference_in_count_from
from recseg_d2.metrics.coverage import (
    count_false_negatives_from,
    count_false_positives_from,
    mean_unweighted_coverage_from,
    mean_weighted_coverage_from,
)
from recseg_d2.metrics.dice import (
    foreground_dice_from,
    legacy_symmetric_best_dice_from,
    symmetric_best_dice_from,
)
from recseg_d2.metrics.overlap import Overlap, count_overlap
from recseg_d2.metrics.precision_recall import HitCounts, object_hits_from, pixel_hits_from

PERCENT = 100.0


@dataclass(frozen=True)
class Metric:
    """A metric of one image.

    Attributes:
        keys: names of its numbers in results.
        function: from the overlap of prediction (a) and ground truth (b) to as many numbers.
    """

    keys: tuple[str, ...]
    function: Callable[[Overlap], tuple[float, ...]]


def _sbd(table: Overlap) -> tuple[float, ...]:
    return (PERCENT * symmetric_best_dice_from(table),)


def _dic(table: Overlap) -> tuple[float, ...]:
    difference = difference_in_count_from(table)
    return difference, abs(difference)


def _fgbg(table: Overlap) -> tuple[float, ...]:
    return (PERCENT * foreground_dice_from(table),)


def _weighted_coverage(table: Overlap) -> tuple[float, ...]:
    return (PERCENT * mean_weighted_coverage_from(table),)


def _unweighted_coverage(table: Overlap) -> tuple[float, ...]:
    return (PERCENT * mean_unweighted_coverage_from(table),)


def _false_positives(table: Overlap) -> tuple[float, ...]:
    return (count_false_positives_from(table),)


def _false_negatives(table: Overlap) -> tuple[float, ...]:
    return (count_false_negatives_from(table),)


def _count_accuracy(table: Overlap) -> tuple[float, ...]:
    return (PERCENT * (difference_in_count_from(table) == 0),)


def _count_mse(table: Overlap) -> tuple[float, ...]:
    return (difference_in_count_from(table) ** 2,)


def _percentages(counts: HitCounts) -> tuple[float, ...]:
    return PERCENT * counts.precision, PERCENT * counts.recall


def _legacy_sbd(table: Overlap) -> tuple[float, ...]:
    return (PERCENT * legacy_symmetric_best_dice_from(table),)


# Means over images turn the numbers of an image into what the names say: of the false positives
# into AvgFP, of 100 or 0 into the accuracy, of the squared errors into the MSE.
METRICS: dict[str, Metric] = {
    "sbd": Metric(("SBD",), _sbd),  # symmetric best dice, 0..100
    "dic": Metric(("DiC", "absDiC"), _dic),  # objects: predicted minus true, and its absolute value
    "fgbg": Metric(("FGBGDice",), _fgbg),  # foreground dice, 0..100; NaN if nothing on either side
    "mwcov": Metric(("MWCov",), _weighted_coverage),  # 0..100; NaN if nothing is there
    "mucov": Metric(("MUCov",), _unweighted_coverage),  # 0..100; NaN if nothing is there
    "avgfp": Metric(("AvgFP",), _false_positives),  # predictions that touch no true object
    "avgfn": Metric(("AvgFN",), _false_negatives),  # true objects that no prediction touches
    "countacc": Metric(("CountAcc",), _count_accuracy),  # 100 where the count is exact, else 0
    "countmse": Metric(("CountMSE",), _count_mse),  # squared difference in count
    "objpr": Metric(  # best IoU of at least 0.5, 0..100; NaN if nothing predicted, nothing there
        ("ObjPrecision", "ObjRecall"), lambda table: _percentages(object_hits_from(table))
    ),
    "pixpr": Metric(  # pixels of all objects together, 0..100; NaN as of objpr
        ("PixPrecision", "PixRecall"), lambda table: _percentages(pixel_hits_from(table))
    ),
    "legacy_sbd": Metric(("LegacySBD",), _legacy_sbd),  # lenient on extra predictions, 0..100
}
DEFAULT_METRICS = ("sbd", "dic", "fgbg")  # the leaf segmentation challenge's


def metric_keys(names: Iterable[str]) -> tuple[str, ...]:
    """The keys of the named metrics, in that order.

    Raises:
        UserError: a name is unknown, or there is none.
    """
    names = list(names)
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        found = ", ".join(unknown) or "no metric"
        raise UserError(f"metrics: found {found}, expected one or more of {', '.join(METRICS)}.")
    return tuple(dict.fromkeys(key for name in names for key in METRICS[name].keys))


def score_image(
    prediction: np.ndarray, truth: np.ndarray, names: Iterable[str] = DEFAULT_METRICS
) -> dict[str, float]:
    """Score one image with the named metrics.

    Args:
        prediction: (H, W) integer label map, 0 is background.
        truth: label map of the same size.
        names: keys of ``METRICS``.

    Returns:
        The numbers by key, such as {"SBD": 82.5, "DiC": -1, "absDiC": 1}; shares in 0..100.

    Raises:
        UserError: a name is unknown.
        ValueError: the sizes differ, or one of the two is not a label map.
    """
    names = list(names)
    metric_keys(names)
    table = count_overlap(prediction, truth)
    scores: dict[str, float] = {}
    for name in names:
        metric = METRICS[name]
        scores.update(zip(metric.keys, metric.function(table), strict=True))
    return scores
