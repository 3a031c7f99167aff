"""Figure 5 of Dai et al. 2016: instance-sensitive maps and what is assembled from them.

From top to bottom: the image, the objectness of the window around each place, the true objects, and
of all proposals those that cover them best; the k x k maps, each of one part of the objects; then
the best instances one by one, each in the window that it was assembled in.

Shape letters: P proposals, K instances drawn one by one, k parts a side, h w cells of the maps,
H W pixels of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from recseg_d2.visualization.maps import draw_heat, draw_rectangle, resize_map
from recseg_d2.visualization.overlays import as_masks, count_text, draw_masks
from recseg_d2.visualization.palette import instance_colors
from recseg_d2.visualization.panels import (
    PANEL_SIDE,
    Panel,
    as_rgb,
    fitted_size,
    lay_out,
    resize_image,
    resize_masks,
)

COLUMNS = 6  # panels in a row; k where there are k x k maps and k is more
FOUND_IOU = 0.5  # a true object is covered by a proposal of at least this overlap
MISSED = np.array([[220, 20, 20]], dtype=np.uint8)  # true objects that no proposal covers


@dataclass(frozen=True)
class ProposalTrace:
    """What a network made of one image.

    Attributes:
        masks: (P, H, W) bool, all proposals, the best first.
        objectness: (h, w) probabilities at the drawn scale.
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
    ground_truth: np.ndarray | None = None,
    side: int = PANEL_SIDE,
) -> Image.Image:
    """Draw how proposals come about.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        trace: of that image.
        ground_truth: masks (N, H, W) bool or a label map (H, W); None leaves its panels out.
        side: longest side of a panel in pixels.
    """
    image = as_rgb(image)
    small = resize_image(image, fitted_size(image.shape[:2], side))
    first = [Panel(small, "input"), Panel(_draw_map(small, trace.objectness, trace), "objectness")]
    if ground_truth is not None:
        truth = as_masks(ground_truth, image.shape[:2])
        first += _truth_panels(small, truth, trace.masks)
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
    panels = _instance_panels(small, trace)
    rows += [panels[n : n + columns] for n in range(0, len(panels), columns)]
    return lay_out(rows)


def best_of(truth: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The proposal that covers each true object best.

    Args:
        truth: (N, H, W) bool.
        masks: (P, H, W) bool.

    Returns:
        (N,) int64 index of the proposal, of equal ones the first, and (N,) its overlap; both 0
        where there is no proposal.
    """
    areas = masks.sum(axis=(1, 2))
    best, overlap = np.zeros(len(truth), dtype=np.int64), np.zeros(len(truth))
    if len(masks):
        for n, mask in enumerate(truth):
            shared = masks[:, mask].sum(axis=1)
            ious = shared / np.maximum(areas + mask.sum() - shared, 1)
            best[n] = ious.argmax()
            overlap[n] = ious[best[n]]
    return best, overlap


def _truth_panels(image: np.ndarray, truth: np.ndarray, masks: np.ndarray) -> list[Panel]:
    """The true objects, and the best proposal of each in its colour, or the object in red."""
    size = (image.shape[0], image.shape[1])
    best, overlap = best_of(truth, masks)
    covered = overlap >= FOUND_IOU
    shown = [masks[p] if hit else mask for p, hit, mask in zip(best, covered, truth, strict=True)]
    colors = np.where(covered[:, None], instance_colors(len(truth)), MISSED)
    drawn = draw_masks(image, resize_masks(np.array(shown).reshape(truth.shape), size), colors)
    of_truth = draw_masks(image, resize_masks(truth, size))
    return [
        Panel(of_truth, f"truth: {count_text(len(truth))}"),
        Panel(drawn, f"best of {len(masks)}: {int(covered.sum())} found"),
    ]


def _draw_map(image: np.ndarray, values: np.ndarray, trace: ProposalTrace) -> np.ndarray:
    """Probabilities as heat over the image, the padding cut off."""
    height, width = image.shape[:2]
    whole = (
        max(height, round(height * trace.extent[0])),
        max(width, round(width * trace.extent[1])),
    )
    return draw_heat(image, resize_map(values, whole)[:height, :width], top=1.0)


def _instance_panels(image: np.ndarray, trace: ProposalTrace) -> list[Panel]:
    """An instance each, in its window."""
    masks = resize_masks(trace.instances, (image.shape[0], image.shape[1]))
    colors = instance_colors(len(masks))
    panels = []
    for k, score in enumerate(trace.scores):
        drawn = draw_masks(image, masks[k : k + 1], colors[k:])
        drawn = draw_rectangle(drawn, trace.windows[k], colors[k])
        panels.append(Panel(drawn, f"instance {k + 1}: {score:.2f}"))
    return panels
