"""The papers' figures of what happens step by step.

A column for each step, the last panel of which shows all masks so far; the first column holds the
image and the ground truth. Colour is the order of discovery, the same in all panels and in every
other figure of the package.

``draw_sequence`` is that of predictions: each step's own mask, at its place in the image.
``draw_attention`` is that of Ren & Zemel 2017, from a model's trace: from top to bottom, the
attention of the last glimpse (or of every glimpse), the predicted box, the step's mask, all masks
so far; and in the first column the pre-processor's foreground and angles too.

Shape letters: K instances, T steps, G glimpses, H W the model's resolution, h w the attention's,
F foreground channels (1, or classes with the background first).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from recseg_d2.visualization.frame import Frame
from recseg_d2.visualization.instances import count_text, fit_masks
from recseg_d2.visualization.maps import (
    draw_angles,
    draw_foreground,
    draw_heat,
    draw_rectangle,
)
from recseg_d2.visualization.palette import instance_colors
from recseg_d2.visualization.panels import (
    PANEL_SIDE,
    Panel,
    empty_panel,
    lay_out,
    wrap_columns,
)

COLUMNS = 8  # panels in a row before the figure wraps, the image's column included

_Column = list[Panel | None]


@dataclass(frozen=True)
class AttentionTrace:
    """What a model did with one image; what it does not have is None, and left out.

    Attributes:
        masks: (T, H, W) in [0, 1], the mask of each step.
        scores: (T,) in [0, 1], the score of each step.
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


def draw_sequence(
    image: np.ndarray,
    masks: Any,
    scores: Sequence[float] | np.ndarray,
    steps: Sequence[int] | np.ndarray | None = None,
    ground_truth: Any = None,
    side: int = PANEL_SIDE,
    columns: int = COLUMNS,
) -> Image.Image:
    """Draw how a model found the objects of an image, one step after another.

    Args:
        image: (H', W'), (H', W', 1), (H', W', 3) or (H', W', 4) uint8, of any size.
        masks: (K, H', W') bool, or another sequence of masks; what was found; K may be 0.
        scores: (K,) the score of each mask, printed over its panel.
        steps: (K,) 0-based step at which each mask was found; None is the given order. Steps
            whose mask was dropped leave a gap in the numbers, not in the colours.
        ground_truth: masks (N, H', W') bool or a label map (H', W'); None leaves its panel out.
        side: longest side of a panel in pixels.
        columns: panels in a row before the figure wraps; 2 or more.

    Raises:
        ValueError: shapes do not fit each other, or ``columns`` is below 2.
    """
    steps = np.arange(len(masks)) if steps is None else np.asarray(steps, dtype=np.int64)
    scores = np.asarray(scores, dtype=np.float64)
    if not len(steps) == len(scores) == len(masks):
        raise ValueError(f"{len(masks)} masks, {len(scores)} scores and {len(steps)} steps.")
    frame = Frame.of(image, side)
    order = np.argsort(steps, kind="stable")
    found = frame.fit(masks)[order]
    first: _Column = [frame.panel("input")]
    if ground_truth is not None:
        first.append(frame.truth(ground_truth, found))
    titles = [f"step {steps[k] + 1}: {scores[k]:.2f}" for k in order]
    found_by = [_mask_panels(frame, found, k, k + 1, title) for k, title in enumerate(titles)]
    return _lay_out(frame, first, found_by, columns)


def draw_attention(
    image: np.ndarray,
    trace: AttentionTrace,
    ground_truth: Any = None,
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
        trace: how the model came by its sequence for the image.
        ground_truth: (H, W) label map or (N, H, W) masks; None where there is none.
        score_threshold: score in [0, 1] below which the sequence ends.
        mask_threshold: probability above which a pixel belongs to a mask.
        all_glimpses: a row for every glimpse instead of one for the last.
        side: longest side of a panel in pixels.
        columns: most panels in a row.
    """
    frame = Frame.of(image, side)
    height, width = trace.masks.shape[1:]
    masks = fit_masks(trace.masks > mask_threshold, (height, width), frame.size)
    below = np.flatnonzero(trace.scores < score_threshold)
    stop = int(below[0]) if len(below) else len(trace.scores)
    first = _preprocessor_panels(frame, trace)
    if ground_truth is not None:
        first.insert(1, frame.truth(ground_truth, masks[:stop]))
    steps = []
    for t in range(min(stop + 1, len(trace.scores))):
        title = f"step {t + 1}: {trace.scores[t]:.2f}" + (", stop" if t == stop else "")
        looked = _attention_panels(frame, trace, t, all_glimpses)
        steps.append([*looked, *_mask_panels(frame, masks, t, min(t + 1, stop), title)])
    return _lay_out(frame, first, steps, columns)


def _lay_out(frame: Frame, first: _Column, steps: Sequence[_Column], columns: int) -> Image.Image:
    nothing: _Column = [Panel(empty_panel(frame.size, "nothing found"), "no step")]
    return lay_out(wrap_columns([first, *(steps or [nothing])], columns))


def _mask_panels(frame: Frame, masks: np.ndarray, step: int, count: int, title: str) -> _Column:
    """The mask of a step alone, and below it the first ``count`` masks."""
    colors = instance_colors(step + 1)
    alone = frame.panel(title, masks[step : step + 1], colors[step:])
    return [alone, frame.panel(f"{count_text(count)} so far", masks[:count], colors)]


def _preprocessor_panels(frame: Frame, trace: AttentionTrace) -> _Column:
    """The image and what the pre-processor says of it."""
    column: _Column = [frame.panel("input")]
    if trace.foreground is not None:
        name = "foreground" if len(trace.foreground) == 1 else "classes"
        column.append(Panel(draw_foreground(trace.foreground, frame.size), name))
        if trace.angles is not None:
            drawn = draw_angles(trace.angles, trace.foreground, frame.size)
            column.append(Panel(drawn, "angles"))
    return column


def _attention_panels(
    frame: Frame, trace: AttentionTrace, step: int, all_glimpses: bool
) -> _Column:
    """Where the model looked, as heat: of the last glimpse, or of each; and the box it chose."""
    column: _Column = []
    if trace.glimpses is not None:
        glimpses = trace.glimpses[step]
        shown = range(0 if all_glimpses else len(glimpses) - 1, len(glimpses))
        column += [Panel(draw_heat(frame.image, glimpses[g]), f"glimpse {g + 1}") for g in shown]
    if trace.box_maps is not None or trace.box_params is not None:
        drawn = _draw_box(frame.image, trace, step, instance_colors(step + 1)[step])
        column.append(Panel(drawn, "box"))
    return column


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
