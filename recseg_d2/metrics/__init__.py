"""Metrics of instance segmentation. Numpy only.

The metrics of label maps, integer arrays (H, W) with 0 as background, are functions of the one
table that ``count_overlap`` makes of two of them; they return shares in [0, 1] and counts, and
``METRICS`` has them by name. ``score_image`` and ``ImageScores``, which feed tools and evaluators,
report shares in 0..100.
"""

from recseg_d2.metrics.counting import (
    absolute_difference_in_count,
    count_accuracy,
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
from recseg_d2.metrics.panoptic_quality import (
    panoptic_quality,
    recognition_quality,
    segmentation_quality,
)
from recseg_d2.metrics.precision_recall import object_hits, pixel_hits, precision, recall
from recseg_d2.metrics.registry import DEFAULT_METRICS, METRICS, Metric, metric, select_metrics
from recseg_d2.metrics.scores import ImageScores, score_image

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "ImageScores",
    "Metric",
    "Overlap",
    "absolute_difference_in_count",
    "best_dice",
    "count_accuracy",
    "count_false_negatives",
    "count_false_positives",
    "count_overlap",
    "difference_in_count",
    "foreground_dice",
    "legacy_symmetric_best_dice",
    "mean_unweighted_coverage",
    "mean_weighted_coverage",
    "metric",
    "object_hits",
    "panoptic_quality",
    "pixel_hits",
    "precision",
    "recall",
    "recognition_quality",
    "relabel_consecutively",
    "score_image",
    "segmentation_quality",
    "select_metrics",
    "squared_count_error",
    "symmetric_best_dice",
]
