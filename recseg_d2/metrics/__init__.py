"""Metrics of instance segmentation on integer label maps (H, W), 0 = background. Numpy only.

Functions on label maps return shares in [0, 1] and counts; ``score_image`` and ``ImageScores``,
which feed tools and evaluators, report dice in 0..100.
"""

from recseg_d2.metrics.counting import absolute_difference_in_count, difference_in_count
from recseg_d2.metrics.dice import best_dice, foreground_dice, symmetric_best_dice
from recseg_d2.metrics.overlap import Overlap, count_overlap, relabel_consecutively
from recseg_d2.metrics.registry import METRICS, Metric, metric_keys, score_image
from recseg_d2.metrics.scores import ImageScores

__all__ = [
    "METRICS",
    "ImageScores",
    "Metric",
    "Overlap",
    "absolute_difference_in_count",
    "best_dice",
    "count_overlap",
    "difference_in_count",
    "foreground_dice",
    "metric_keys",
    "relabel_consecutively",
    "score_image",
    "symmetric_best_dice",
]
