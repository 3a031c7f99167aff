"""Several images beside their ground truth and prediction.

Shape letters: K predicted and N true instances, H W pixels of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from recseg_d2.visualization.overlays import as_masks, count_text, draw_masks
from recseg_d2.visualization.panels import (
    PANEL_SIDE,
    Panel,
    as_rgb,
    fitted_size,
    lay_out,
    resize_image,
    resize_masks,
)
from recseg_d2.visualization.truth_colors import matching_colors


@dataclass(frozen=True)
class MontageEntry:
    """One image of a montage.

    Attributes:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        prediction: masks (K, H, W) bool in order of discovery, or a label map (H, W).
        ground_truth: masks (N, H, W) bool or a label map (H, W); None where it is unknown.
        caption: printed over the image, such as its name.
    """

    image: np.ndarray
    prediction: np.ndarray
    ground_truth: np.ndarray | None = None
    caption: str = "image"


def draw_montage(
    entries: Sequence[MontageEntry], side: int = PANEL_SIDE, per_row: int = 1
) -> Image.Image:
    """A table: image, ground truth, prediction of each entry.

    A true object has the colour of the predicted one that covers it best, so that what was missed,
    split or merged is seen at once. The column of the ground truth is left out where no entry has
    any.

    Args:
        entries: one or more.
        side: longest side of a panel in pixels.
        per_row: entries that stand side by side.

    Raises:
        ValueError: there is no entry, or masks do not fit their image.
    """
    if not entries:
        raise ValueError("A montage needs at least one image.")
    with_truth = any(entry.ground_truth is not None for entry in entries)
    triples = [_entry_panels(entry, side, with_truth) for entry in entries]
    rows = [triples[i : i + per_row] for i in range(0, len(triples), per_row)]
    return lay_out([[panel for triple in row for panel in triple] for row in rows])


def _entry_panels(entry: MontageEntry, side: int, with_truth: bool) -> list[Panel | None]:
    image = as_rgb(entry.image)
    size = fitted_size(image.shape[:2], side)
    small = resize_image(image, size)
    found = resize_masks(as_masks(entry.prediction, image.shape[:2]), size)
    panels: list[Panel | None] = [Panel(small, entry.caption)]
    if with_truth and entry.ground_truth is None:
        panels.append(None)
    elif entry.ground_truth is not None:
        truth = resize_masks(as_masks(entry.ground_truth, image.shape[:2]), size)
        drawn = draw_masks(small, truth, matching_colors(truth, found))
        panels.append(Panel(drawn, f"truth: {count_text(len(truth))}"))
    panels.append(Panel(draw_masks(small, found), f"found: {count_text(len(found))}"))
    return panels
