"""Figure 5 of Dai et al. 2016: instance-sensitive maps and what is assembled from them.

From top to bottom: the image, the objectness of the window around each place, the true objects, and
of all proposals those that cover them best; the k x k maps, each of one part of the objects; then
the best instances one by one, each in the window that it was assembled in.

Shape letters: P proposals, K instances drawn one by one, k parts a side, h w cells of the maps,
H W pixels of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from recseg_d2.layers.masks import mask_iou
from recseg_d2.visualization.frame import Frame
from recseg_d2.visualization.instances import count_text, each_mask
from recseg_d2.visualization.maps import draw_heat, draw_rectangle, resize_map
from recseg_d2.visualization.overlays import draw_masks
from recseg_d2.visualization.palette import instance_colors
from recseg_d2.visualization.panels import PANEL_SIDE, Panel, lay_out

COLUMNS = 6  # panels in a row; k where there are k x k maps and k is more
FOUND_IOU = 0.5  # a true object is covered by a proposal of at least this overlap
MISSED = np.array([[220, 20, 20]], dtype=np.uint8)  # true objects that no proposal covers


@dataclass(frozen=True)
class ProposalTrace:
    """What a network made of one image.

    Attributes:
        masks: (P, H, W) bool, all proposals, the best first.
        objectness: (h, w) in [0, 1], of the windows around each cell at the drawn scale.
        extent: height and width of the maps as multiples of the image's, 1 or more: they cover its
            padding to whole cells too.
        instances: (K, H, W) bool, drawn one by one.
        scores: (K,) in [0, 1].
        windows: (K, 4) y, x of the centre, height and width as shares of the image's sides.
        maps: (k * k, h, w) probabilities; None where masks are not assembled.
    """

    masks: np.ndarray
    objectness: np.ndarray
    extent: tuple[float, float]
    instances: np.ndarray
    scores: np.ndarray
    windows: np.ndarray
    maps: np.ndarray | None = None


def draw_proposals(
    image: np.ndarray,
    trace: ProposalTrace,
    ground_truth: Any = None,
    side: int = PANEL_SIDE,
) -> Image.Image:
    """Draw how proposals come about.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        trace: how the model came by its proposals for the image.
        ground_truth: masks (N, H, W) bool or a label map (H, W); None leaves its panels out.
        side: longest side of a panel in pixels.
    """
    frame = Frame.of(image, side)
    small = frame.image
    drawn = _draw_map(small, trace.objectness, trace)
    first = [frame.panel("input"), Panel(drawn, "objectness")]
    if ground_truth is not None:
        first += _truth_panels(frame, list(each_mask(ground_truth, frame.given)), trace.masks)
    rows: list[list[Panel]] = [first]
    columns = COLUMNS
    if trace.maps is not None:
        parts = round(len(trace.maps) ** 0.5)
        columns = max(columns, parts)
        panels = [
            Panel(_draw_map(small, values, trace), f"part {n // parts + 1}, {n % parts + 1}")
            for n, values in enumerate(trace.maps)
        ]
        rows += [panels[n : n + parts] for n in range(0, len(panels), parts)]
    panels = _instance_panels(frame, trace)
    rows += [panels[n : n + columns] for n in range(0, len(panels), columns)]
    return lay_out(rows)


def _truth_panels(frame: Frame, truth: list[np.ndarray], masks: np.ndarray) -> list[Panel]:
    """The true objects, and the best proposal of each in its colour, or the object in red."""
    best = np.zeros(len(truth), dtype=np.int64)
    covered = np.zeros(len(truth), dtype=bool)
    if len(truth) and len(masks):
        overlap = mask_iou(torch.from_numpy(np.stack(truth)), torch.from_numpy(masks)).numpy()
        best, covered = overlap.argmax(axis=1), overlap.max(axis=1) >= FOUND_IOU
    shown = [masks[p] if hit else mask for p, hit, mask in zip(best, covered, truth, strict=True)]
    colors = np.where(covered[:, None], instance_colors(len(truth)), MISSED)
    caption = f"best of {len(masks)}: {int(covered.sum())} found"
    return [
        frame.panel(f"truth: {count_text(len(truth))}", frame.fit(truth)),
        frame.panel(caption, frame.fit(shown), colors),
    ]


def _draw_map(image: np.ndarray, values: np.ndarray, trace: ProposalTrace) -> np.ndarray:
    """Probabilities as heat over the image, the padding cut off."""
    height, width = image.shape[:2]
    whole = (
        max(height, round(height * trace.extent[0])),
        max(width, round(width * trace.extent[1])),
    )
    return draw_heat(image, resize_map(values, whole)[:height, :width], top=1.0)


def _instance_panels(frame: Frame, trace: ProposalTrace) -> list[Panel]:
    """An instance each, in its window."""
    masks = frame.fit(trace.instances)
    colors = instance_colors(len(masks))
    panels = []
    for k, score in enumerate(trace.scores):
        drawn = draw_masks(frame.image, masks[k : k + 1], colors[k:])
        drawn = draw_rectangle(drawn, trace.windows[k], colors[k])
        panels.append(Panel(drawn, f"instance {k + 1}: {score:.2f}"))
    return panels
