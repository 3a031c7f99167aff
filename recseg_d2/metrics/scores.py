"""Scores of many images: collect, merge, average.

Only numbers are kept, one small dict an image, so that several processes can send theirs to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from recseg_d2.metrics.overlap import count_overlap
from recseg_d2.metrics.registry import DEFAULT_METRICS, select_metrics

_STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "mean": lambda values: float(values.mean()) if values.size else math.nan,
    "std": lambda values: float(values.std(ddof=1)) if values.size > 1 else math.nan,
    "median": lambda values: float(np.median(values)) if values.size else math.nan,
    "min": lambda values: float(values.min()) if values.size else math.nan,
    "max": lambda values: float(values.max()) if values.size else math.nan,
}


class ImageScores:
    """Scores of the images of a data set, their statistics, and the data set's own.

    An image that is scored twice counts once (the last score stays), so padded samplers do no harm.
    In statistics every image weighs the same, whatever its size or number of objects, and NaN (a
    score that an image does not define, such as FGBGDice without any object) is left out. Metrics
    of a whole data set have no statistics over images but one number, ``pooled``.

    Args:
        names: of metrics, in ``registry.METRICS``.
        images: what ``measure`` returned of each image, to begin with.

    Raises:
        UserError: a metric is unknown.

    Example:
        >>> scores = ImageScores(["sbd", "dic"])
        >>> scores.update("leaf", np.array([[1, 1, 0]]), np.array([[1, 1, 2]]))
        >>> scores.results()
        {'SBD': 50.0, 'DiC': -1.0, 'absDiC': 1.0}
    """

    def __init__(
        self,
        names: Iterable[str] = DEFAULT_METRICS,
        images: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self.metrics = select_metrics(names)
        self.images: dict[str, dict[str, Any]] = dict(images or {})

    def measure(self, prediction: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
        """What is kept of an image, by key; see ``Metric.measure``.

        Args:
            prediction: (H, W) integer label map, 0 is background.
            truth: label map of the same size.

        Raises:
            ValueError: the sizes differ, or one of the two is not a label map.
        """
        table = count_overlap(prediction, truth)
        return {one.key: one.measure(table) for one in self.metrics}

    def update(self, image: str, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Score one image; the other arguments are those of ``measure``."""
        self.images[image] = self.measure(prediction, truth)

    def merge(self, images: Mapping[str, dict[str, Any]]) -> None:
        """Add the ``images`` of another collector of the same metrics."""
        self.images.update(images)

    def of_image(self, image: str) -> dict[str, float]:
        """The numbers of one image by key, such as {"SBD": 82.5, "DiC": -1}; shares in 0..100."""
        return {one.key: one.of_image(self.images[image][one.key]) for one in self.metrics}

    def results(self) -> dict[str, float]:
        """The data set's number of each metric; NaN where no image defines it."""
        kept = [self.images[image] for image in sorted(self.images)]
        return {one.key: one.of_images([k[one.key] for k in kept]) for one in self.metrics}

    def statistic(self, name: str) -> dict[str, float]:
        """One of mean, std (n - 1), median, min, max over images by key.

        NaN where too few images define the score; metrics of a whole data set are left out.
        """
        single = [one.key for one in self.metrics if one.sums is None]
        return {key: _STATISTICS[name](self._defined(key)) for key in single}

    def pooled(self) -> dict[str, float]:
        """The numbers of the metrics of a whole data set by key."""
        results = self.results()
        return {one.key: results[one.key] for one in self.metrics if one.sums is not None}

    def summary(self) -> dict[str, Any]:
        """What evaluators save: scores by key, of each image and over all of them.

        Returns:
            {"images": {image: scores}, "mean": scores, "std": scores}, and "pooled" where metrics
            of a whole data set are among them.
        """
        images = {image: self.of_image(image) for image in sorted(self.images)}
        over_all = {"mean": self.statistic("mean"), "std": self.statistic("std")}
        pooled = self.pooled()
        return {"images": images, **over_all, **({"pooled": pooled} if pooled else {})}

    def rows(self) -> list[list[Any]]:
        """A table: one row a key, with its statistics in the order of ``columns``.

        A metric of a whole data set has its one number in the place of the mean.
        """
        statistics = [self.statistic(name) for name in _STATISTICS]
        rows = [[key, *(of[key] for of in statistics)] for key in statistics[0]]
        blank = [None] * (len(_STATISTICS) - 1)
        return rows + [[f"{key} (pooled)", number, *blank] for key, number in self.pooled().items()]

    @staticmethod
    def columns() -> list[str]:
        """Headers of ``rows``."""
        return ["metric", *_STATISTICS]

    def _defined(self, key: str) -> np.ndarray:
        values = np.array([self.images[image][key] for image in sorted(self.images)], dtype=float)
        return values[~np.isnan(values)]


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
    scores = ImageScores(names)
    scores.update("", prediction, truth)
    return scores.of_image("")
