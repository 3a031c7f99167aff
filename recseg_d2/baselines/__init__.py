"""Segmentation without learning, shown beside trained models.

``recseg_d2.evaluation.baseline`` scores it on registered data sets.
"""

from recseg_d2.baselines.classical import METHODS, segment_leaves, segment_nuclei

__all__ = ["METHODS", "segment_leaves", "segment_nuclei"]
