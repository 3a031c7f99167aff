"""Figures: overlays, sequences, montages, all on numpy arrays.

``recseg_d2.visualization.dataset`` draws them for Detectron2's dicts and Instances; it is not
imported here, so that the figures need no Detectron2.
"""

from recseg_d2.visualization.attention import AttentionTrace, draw_attention
from recseg_d2.visualization.montage import MontageEntry, draw_montage
from recseg_d2.visualization.overlays import draw_masks, draw_overlay
from recseg_d2.visualization.palette import instance_colors
from recseg_d2.visualization.sequences import draw_sequence

__all__ = [
    "AttentionTrace",
    "MontageEntry",
    "draw_attention",
    "draw_masks",
    "draw_montage",
    "draw_overlay",
    "draw_sequence",
    "instance_colors",
]
