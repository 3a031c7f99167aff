"""Metrics of instance segmentation. Numpy only.

The metrics of label maps, integer arrays (H, W) with 0 as background, are functions of the one
table that ``count_overlap`` makes of two of them; they return shares in [0, 1] and counts, and
``METRICS`` has them by name. ``score_image`` and ``ImageScores``, which feed tools and evaluators,
report shares in 0..100.
"""

from recseg_d2.metrics import (  # noqa: F401  (they register their metrics)
    counting,
    coverage,
    dice,
    panoptic_quality,
    precision_recall,
)
from recseg_d2.metrics.overlap import Overlap, count_overlap
from recseg_d2.metrics.registry import DEFAULT_METRICS, METRICS, Metric, metric, select_metrics
from recseg_d2.metrics.scores import ImageScores, score_image

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "ImageScores",
    "Metric",
    "Overlap",
    "count_overlap",
    "metric",
    "score_image",
    "select_metrics",
]
