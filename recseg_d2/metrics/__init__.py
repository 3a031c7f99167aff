"""Metrics of instance segmentation on integer label maps (H, W), 0 = background. Numpy only.

Functions on label maps return shares in [0, 1] and counts; ``score_image`` and ``ImageScores``,
which feed tools and evaluators, report shares in 0..100.
"""

from recseg_d2.metrics.counting import (
    absolute_difference_in_count,
    count_is_right,
    difference_in_count,
    squared_count_error,
)
from recseg_d2.metrics.coverage import (
    count_false_negatives,
    count_false_positives,
    mean_unweighted_coverage,
    mean_weighted_coverage,
)
from recseg_d2.metrics.dice import (
    best_dice,
    foreground_dice,
    legacy_symmetric_best_dice,
    symmetric_best_dice,
)
from recseg_d2.metrics.overlap import Overlap, count_overlap, relabel_consecutively
from recseg_d2.metrics.precision_recall import HitCounts, object_hits, pixel_hits
from recseg_d2.metrics.registry import (
    DEFAULT_METRICS,
    METRICS,
    Metric,
    metric_keys,
    score_image,
)
from recseg_d2.metrics.scores import ImageScores

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "HitCounts",
    "ImageScores",
    "Metric",
    "Overlap",
    "absolute_difference_in_count",
    "best_dice",
    "count_false_negatives",
    "count_false_positives",
    "count_is_right",
    "count_overlap",
    "difference_in_count",
    "foreground_dice",
    "legacy_symmetric_best_dice",
    "mean_unweighted_coverage",
    "mean_weighted_coverage",
    "metric_keys",
    "object_hits",
    "pixel_hits",
    "relabel_consecutively",
    "score_image",
    "squared_count_error",
    "symmetric_best_dice",
]
