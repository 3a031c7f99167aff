"""The figure of Ren & Zemel 2017: where the model looks, its box, its mask.

A column for each step, from top to bottom: the attention of the last glimpse (or of every glimpse),
the predicted box, the step's mask, and all masks so far. The first column holds the image, the
ground truth, and the pre-processor's foreground and angles. Colour is the order of discovery.

Shape letters: T steps, G glimpses, H W the model's resolution, h w the attention's, F foreground
channels (1, or classes with the background first).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from recseg_d2.visualization.maps import (
    draw_angles,
    draw_foreground,
    draw_heat,
    draw_rectangle,
)
from recseg_d2.visualization.overlays import as_masks, count_text, draw_masks
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


@dataclass(frozen=True)
class AttentionTrace:
    """What a model did with one image; what it does not have is None, and left out.

    Attributes:
        masks: (T, H, W) probabilities.
        scores: (T,) in [0, 1].
        glimpses: (T, G, h, w) attention, summing to 1 over h w.
        box_maps: (T, H, W) probabilities of the Gaussian boxes.
        box_params: (T, 4) y, x of the box's centre, height and width, in pixels of H W, from the
            centre of its first pixel to that of its last; pixel centres are at integers.
        foreground: (F, H, W) probabilities.
        angles: (8, H, W) probabilities.
    """

    masks: np.ndarray
    scores: np.ndarray
    glimpses: np.ndarray | None = None
    box_maps: np.ndarray | None = None
    box_params: np.ndarray | None = None
    foreground: np.ndarray | None = None
    angles: np.ndarray | None = None


def draw_attention(
    image: np.ndarray,
    trace: AttentionTrace,
    ground_truth: np.ndarray | None = None,
    *,
    score_threshold: float = 0.5,
    mask_threshold: float = 0.5,
    all_glimpses: bool = False,
    side: int = PANEL_SIDE,
    columns: int = COLUMNS,
) -> Image.Image:
    """Draw how the model went about an image, one step after another.

    The first step scored below the threshold is drawn as well, marked as the stop, so that it can
    be seen what the model refused; it is not among the masks so far.

    Args:
        image: (H', W'), (H', W', 1), (H', W', 3) or (H', W', 4) uint8, of any size.
        trace: of that image.
        ground_truth: masks (N, H', W') bool or a label map (H', W'); None leaves its panel out.
        score_threshold: of the stop.
        mask_threshold: probability above which a pixel belongs to a mask.
        all_glimpses: a row for every glimpse instead of one for the last.
        side: longest side of a panel in pixels.
        columns: panels in a row before the figure wraps; 2 or more.
    """
    image = as_rgb(image)
    size = fitted_size(image.shape[:2], side)
    small = resize_image(image, size)
    masks = resize_masks(trace.masks > mask_threshold, size)
    stop = _stop(trace.scores, score_threshold)
    first = _first_column(small, trace)
    if ground_truth is not None:
        truth = resize_masks(as_masks(ground_truth, image.shape[:2]), size)
        drawn = draw_masks(small, truth, matching_colors(truth, masks[:stop]))
        first.insert(1, Panel(drawn, f"truth: {count_text(len(truth))}"))
    steps = [
        _step_column(small, trace, masks, t, stop, all_glimpses)
        for t in range(min(stop + 1, len(trace.scores)))
    ]
    if not steps:
        steps = [[Panel(empty_panel(size, "nothing found"), "no step")]]
    return lay_out(wrap_columns([first, *steps], columns))


def _stop(scores: np.ndarray, threshold: float) -> int:
    """The first step below the threshold; T where there is none."""
    below = np.flatnonzero(scores < threshold)
    return int(below[0]) if len(below) else len(scores)


def _first_column(image: np.ndarray, trace: AttentionTrace) -> list[Panel | None]:
    """The image and what the pre-processor says of it."""
    column: list[Panel | None] = [Panel(image, "input")]
    size = (image.shape[0], image.shape[1])
    if trace.foreground is not None:
        name = "foreground" if len(trace.foreground) == 1 else "classes"
        column.append(Panel(draw_foreground(trace.foreground, size), name))
        if trace.angles is not None:
            column.append(Panel(draw_angles(trace.angles, trace.foreground, size), "angles"))
    return column


def _step_column(
    image: np.ndarray,
    trace: AttentionTrace,
    masks: np.ndarray,
    step: int,
    stop: int,
    all_glimpses: bool,
) -> list[Panel | None]:
    """The panels of one step, from top to bottom."""
    colors = instance_colors(step + 1)
    column: list[Panel | None] = []
    if trace.glimpses is not None:
        column += _glimpse_panels(image, trace.glimpses[step], all_glimpses)
    if trace.box_maps is not None or trace.box_params is not None:
        column.append(Panel(_draw_box(image, trace, step, colors[step]), "box"))
    title = f"step {step + 1}: {trace.scores[step]:.2f}" + (", stop" if step == stop else "")
    column.append(Panel(draw_masks(image, masks[step : step + 1], colors[step:]), title))
    found = masks[: min(step + 1, stop)]
    column.append(Panel(draw_masks(image, found, colors), f"{count_text(len(found))} so far"))
    return column


def _glimpse_panels(
    image: np.ndarray, glimpses: np.ndarray, all_glimpses: bool
) -> list[Panel | None]:
    """(G, h, w) attention as heat: of the last glimpse, or of each."""
    shown = range(len(glimpses)) if all_glimpses else range(len(glimpses) - 1, len(glimpses))
    return [Panel(draw_heat(image, glimpses[g]), f"glimpse {g + 1}") for g in shown]


def _draw_box(image: np.ndarray, trace: AttentionTrace, step: int, color: np.ndarray) -> np.ndarray:
    """The Gaussian box as heat, the box itself as an outline."""
    drawn = image
    if trace.box_maps is not None:
        drawn = draw_heat(drawn, trace.box_maps[step], top=1.0)
    if trace.box_params is not None:
        height, width = trace.masks.shape[1:]
        edges = trace.box_params[step] + np.array([0.5, 0.5, 1.0, 1.0])  # whole pixels
        share = edges / np.array([height, width, height, width])
        drawn = draw_rectangle(drawn, share, color)
    return drawn
