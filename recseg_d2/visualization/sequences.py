"""The papers' figure: what was found at each step, and all found so far.

Two panels stand above each other for every step: the step's own mask over the image, and below it
all masks up to this step. The first column holds the image and the ground truth. Colour is the
order of discovery, the same in both panels and in every other figure of the package.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from recseg_d2.visualization.overlays import as_masks, check_masks, count_text, draw_masks
from recseg_d2.visualization.palette import instance_colors
from recseg_d2.visualization.panels import (
    PANEL_SIDE,
    Panel,
    as_rgb,
    empty_panel,
    fitted_size,
    lay_out,
    resize_image,
    resize_masks,
    wrap_columns,
)
from recseg_d2.visualization.truth_colors import matching_colors

COLUMNS = 8  # panels in a row before the figure wraps, the image's column included


def draw_sequence(
    image: np.ndarray,
    masks: np.ndarray,
    scores: Sequence[float] | np.ndarray,
    steps: Sequence[int] | np.ndarray | None = None,
    ground_truth: np.ndarray | None = None,
    side: int = PANEL_SIDE,
    columns: int = COLUMNS,
) -> Image.Image:
    """Draw how a model found the objects of an image, one step after another.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        masks: (K, H, W) bool, what was found; K may be 0.
        scores: (K,) the score of each mask, printed over its panel.
        steps: (K,) 0-based step at which each mask was found; None is the given order. Steps
            whose mask was dropped leave a gap in the numbers, not in the colours.
        ground_truth: masks (N, H, W) bool or a label map (H, W); None leaves its panel out.
        side: longest side of a panel in pixels.
        columns: panels in a row before the figure wraps; 2 or more.

    Raises:
        ValueError: shapes do not fit each other, or ``columns`` is below 2.
    """
    image = as_rgb(image)
    masks = check_masks(masks, image.shape[:2])
    steps = np.arange(len(masks)) if steps is None else np.asarray(steps, dtype=np.int64)
    scores = np.asarray(scores, dtype=np.float64)
    if not len(steps) == len(scores) == len(masks):
        raise ValueError(f"{len(masks)} masks, {len(scores)} scores and {len(steps)} steps.")
    size = fitted_size(image.shape[:2], side)
    small = resize_image(image, size)
    order = np.argsort(steps, kind="stable")
    found = resize_masks(masks, size)[order]
    truth = None if ground_truth is None else as_masks(ground_truth, image.shape[:2])
    pairs = [_first_column(small, found, truth)]
    pairs += _step_columns(small, found, scores[order], steps[order])
    if len(masks) == 0:
        pairs.append((Panel(empty_panel(size, "nothing found"), "no step"), None))
    return lay_out(wrap_columns(pairs, columns))


_Column = tuple[Panel, "Panel | None"]


def _first_column(image: np.ndarray, found: np.ndarray, truth: np.ndarray | None) -> _Column:
    """The image, and below it the ground truth where there is one, coloured like what was found."""
    above = Panel(image, "input")
    if truth is None:
        return above, None
    small = resize_masks(truth, image.shape[:2])
    drawn = draw_masks(image, small, matching_colors(small, found))
    return above, Panel(drawn, f"truth: {count_text(len(truth))}")


def _step_columns(
    image: np.ndarray, masks: np.ndarray, scores: np.ndarray, steps: np.ndarray
) -> list[_Column]:
    """For each mask, in order of discovery: it alone, and all up to it."""
    colors = instance_colors(len(masks))
    columns: list[_Column] = []
    for i, (step, score) in enumerate(zip(steps, scores, strict=True)):
        alone = draw_masks(image, masks[i : i + 1], colors[i : i + 1])
        so_far = draw_masks(image, masks[: i + 1], colors[: i + 1])
        above = Panel(alone, f"step {step + 1}: {score:.2f}")
        columns.append((above, Panel(so_far, f"{count_text(i + 1)} so far")))
    return columns
