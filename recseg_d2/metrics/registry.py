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
from recseg_d2.metrics.dice import foreground_dice_from, symmetric_best_dice_from
from recseg_d2.metrics.overlap import Overlap, count_overlap

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


METRICS: dict[str, Metric] = {
    "sbd": Metric(("SBD",), _sbd),  # symmetric best dice, 0..100
    "dic": Metric(("DiC", "absDiC"), _dic),  # objects: predicted minus true, and its absolute value
    "fgbg": Metric(("FGBGDice",), _fgbg),  # foreground dice, 0..100; NaN if nothing on either side
}


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
    prediction: np.ndarray, truth: np.ndarray, names: Iterable[str] = tuple(METRICS)
) -> dict[str, float]:
    """Score one image with the named metrics.

    Args:
        prediction: (H, W) integer label map, 0 is background.
        truth: label map of the same size.
        names: keys of ``METRICS``.

    Returns:
        The numbers by key, such as {"SBD": 82.5, "DiC": -1, "absDiC": 1}; dice in 0..100.

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
