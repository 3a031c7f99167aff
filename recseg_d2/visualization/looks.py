"""The figure of a search by dense attention: where the model looked, and what it found there.

A column for each look, from top to bottom: the heat map of objects that were not on the canvas yet,
with the box at the place looked at; the mask of the look alone; all masks so far. The first column
holds the image and the ground truth. Colour is the order of discovery, as in all other figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from recseg_d2.visualization.frame import Frame
from recseg_d2.visualization.instances import count_text, fit_masks
from recseg_d2.visualization.maps import draw_heat, draw_rectangle
from recseg_d2.visualization.palette import instance_colors
from recseg_d2.visualization.panels import PANEL_SIDE, Panel, empty_panel, lay_out, wrap_columns

COLUMNS = 8  # panels in a row before the figure wraps, the image's column included


@dataclass(frozen=True)
class LookTrace:
    """One look.

    Attributes:
        heat: (h, w) in [0, 1], the heat map of the whole image.
        box: y, x of the centre, height and width, as shares of the image's sides.
        mask: (H, W) bool, of any resolution.
        score: score of the object, in [0, 1].
        kept: whether it was drawn on the canvas.
    """

    heat: np.ndarray
    box: np.ndarray
    mask: np.ndarray
    score: float
    kept: bool


def draw_looks(
    image: np.ndarray,
    looks: Sequence[LookTrace],
    ground_truth: Any = None,
    side: int = PANEL_SIDE,
    columns: int = COLUMNS,
) -> Image.Image:
    """Draw a search, look by look.

    Args:
        image: (H', W'), (H', W', 1), (H', W', 3) or (H', W', 4) uint8, of any size.
        looks: the looks in their order; there may be none.
        ground_truth: masks (N, H', W') bool or a label map (H', W'); None leaves its panel out.
        side: longest side of a panel in pixels.
        columns: panels in a row before the figure wraps; 2 or more.
    """
    frame = Frame.of(image, side)
    masks = [fit_masks(look.mask[None], look.mask.shape, frame.size)[0] for look in looks]
    kept = [m for m, look in zip(masks, looks, strict=True) if look.kept]
    found = np.stack(kept) if kept else np.zeros((0, *frame.size), bool)
    first: list[Panel | None] = [frame.panel("input")]
    if ground_truth is not None:
        first.append(frame.truth(ground_truth, found))
    steps: list[list[Panel | None]] = []
    count = 0
    for number, (look, mask) in enumerate(zip(looks, masks, strict=True)):
        color = instance_colors(count + 1)[count]
        heat = draw_rectangle(draw_heat(frame.image, look.heat, top=1.0), look.box, color)
        title = f"{look.score:.2f}" if look.kept else f"{look.score:.2f}, nothing new"
        count += look.kept
        so_far = frame.panel(f"{count_text(count)} so far", found[:count], instance_colors(count))
        alone = frame.panel(title, mask[None], color[None])
        steps.append([Panel(heat, f"look {number + 1}"), alone, so_far])
    nothing: list[Panel | None] = [Panel(empty_panel(frame.size, "nothing found"), "no look")]
    return lay_out(wrap_columns([first, *(steps or [nothing])], columns))
