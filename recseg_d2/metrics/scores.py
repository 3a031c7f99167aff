"""Scores of many images: collect, average, pool.

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
    of a whole data set have no statistics over images but one number of all of them.

    Args:
        names: names of metrics, keys of ``registry.METRICS``.
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
        self.images = dict(images or {})

    def measure(self, prediction: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
        """What is kept of an image, by key; see ``Metric.measure``.

        Args:
            prediction: (H, W) integer label map, 0 is background.
            truth: (H, W) integers, the true label map, of the same size.

        Raises:
            ValueError: the sizes differ, or one of the two is not a label map.
        """
        table = count_overlap(prediction, truth)
        return {one.key: one.measure(table) for one in self.metrics}

    def update(self, image: str, prediction: np.ndarray, truth: np.ndarray) -> None:
        """Score one image, by its name; see ``measure``."""
        self.images[image] = self.measure(prediction, truth)

    def of_image(self, image: str) -> dict[str, float]:
        """The numbers of one image by key, such as {"SBD": 82.5, "DiC": -1}; shares in 0..100."""
        return {one.key: one.of_image(self.images[image][one.key]) for one in self.metrics}

    def results(self) -> dict[str, float]:
        """The data set's number of each metric by key; NaN where no image defines it."""
        return {one.key: one.of_images(self._kept(one.key)) for one in self.metrics}

    def statistic(self, name: str) -> dict[str, float]:
        """One of mean, std (n - 1), median, min, max over images, of metrics of single images."""
        single = [one.key for one in self.metrics if one.sums is None]
        values = {key: np.array(self._kept(key), dtype=float) for key in single}
        return {key: _STATISTICS[name](v[~np.isnan(v)]) for key, v in values.items()}

    def pooled(self) -> dict[str, float]:
        """The numbers of the metrics of a whole data set by key."""
        single = self.statistic("mean")
        return {key: number for key, number in self.results().items() if key not in single}

    def summary(self) -> dict[str, Any]:
        """What evaluators save: scores by key, of each image and over all of them.

        Returns:
            {"images": {image: scores}, "mean": scores, "std": scores}, and "pooled" where metrics
            of a whole data set are among them.
        """
        pooled = {"pooled": self.pooled()} if self.pooled() else {}
        over_all = {"mean": self.statistic("mean"), "std": self.statistic("std"), **pooled}
        images = {image: self.of_image(image) for image in sorted(self.images)}
        return {"images": images, **over_all}

    def rows(self) -> list[dict[str, Any]]:
        """A table: the statistics of each metric; pooled ones have their number as the mean."""
        statistics = {name: self.statistic(name) for name in _STATISTICS}
        rows: list[dict[str, Any]] = [
            {"metric": key, **{name: of[key] for name, of in statistics.items()}}
            for key in statistics["mean"]
        ]
        return rows + [{"metric": f"{k} (pooled)", "mean": v} for k, v in self.pooled().items()]

    def _kept(self, key: str) -> list[Any]:
        """Of each image; in order of names, so that sums do not depend on who saw which first."""
        return [self.images[image][key] for image in sorted(self.images)]


def score_image(
    prediction: np.ndarray, truth: np.ndarray, names: Iterable[str] = DEFAULT_METRICS
) -> dict[str, float]:
    """Score one image with the metrics of some names; see ``ImageScores.measure``.

    Returns:
        The numbers by key, such as {"SBD": 82.5, "DiC": -1, "absDiC": 1}; shares in 0..100.

    Raises:
        UserError: a name is unknown.
    """
    scores = ImageScores(names)
    scores.update("", prediction, truth)
    return scores.of_image("")
