"""Scores of many images: collect, merge, average.

Only numbers are kept, one small dict an image, so that several processes can send theirs to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from recseg_d2.metrics.registry import DEFAULT_METRICS, metric_keys, score_image

_STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "mean": lambda values: float(values.mean()) if values.size else math.nan,
    "std": lambda values: float(values.std(ddof=1)) if values.size > 1 else math.nan,
    "median": lambda values: float(np.median(values)) if values.size else math.nan,
    "min": lambda values: float(values.min()) if values.size else math.nan,
    "max": lambda values: float(values.max()) if values.size else math.nan,
}


class ImageScores:
    """Per-image scores of a data set, and their statistics over images.

    An image that is scored twice counts once (the last score stays), so padded samplers do no harm.
    Every image weighs the same, whatever its size or number of objects. NaN (a score that an image
    does not define, such as FGBGDice without any object) is left out of the statistics.

    Args:
        metrics: names in ``registry.METRICS``.

    Raises:
        UserError: a metric is unknown.

    Example:
        >>> scores = ImageScores(["sbd", "dic"])
        >>> scores.update("leaf", np.array([[1, 1, 0]]), np.array([[1, 1, 2]]))
        >>> scores.mean()
        {'SBD': 50.0, 'DiC': -1.0, 'absDiC': 1.0}
    """

    def __init__(self, metrics: Iterable[str] = DEFAULT_METRICS) -> None:
        self.metrics = tuple(metrics)
        self.keys = metric_keys(self.metrics)
        self.images: dict[str, dict[str, float]] = {}

    def update(self, image: str, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Score one image; the arguments are those of ``registry.score_image``."""
        self.images[image] = score_image(prediction, truth, self.metrics)

    def merge(self, images: Mapping[str, dict[str, float]]) -> None:
        """Add the ``images`` of another collector of the same metrics."""
        self.images.update(images)

    def mean(self) -> dict[str, float]:
        """Mean over images by key; NaN where no image defines the score."""
        return self.statistic("mean")

    def std(self) -> dict[str, float]:
        """Sample standard deviation (n - 1) over images by key; NaN for fewer than two images."""
        return self.statistic("std")

    def statistic(self, name: str) -> dict[str, float]:
        """One of mean, std, median, min, max over images by key."""
        function = _STATISTICS[name]
        return {key: function(self._defined(key)) for key in self.keys}

    def summary(self) -> dict[str, Any]:
        """What evaluators save: {"images": {image: scores}, "mean": scores, "std": scores}."""
        images = {image: self.images[image] for image in sorted(self.images)}
        return {"images": images, "mean": self.mean(), "std": self.std()}

    def rows(self) -> list[list[Any]]:
        """A table: one row a key, with its statistics in the order of ``columns``."""
        statistics = [self.statistic(name) for name in _STATISTICS]
        return [[key, *(statistic[key] for statistic in statistics)] for key in self.keys]

    @staticmethod
    def columns() -> list[str]:
        """Headers of ``rows``."""
        return ["metric", *_STATISTICS]

    def _defined(self, key: str) -> np.ndarray:
        values = np.array([self.images[image][key] for image in sorted(self.images)], dtype=float)
        return values[~np.isnan(values)]
