"""Several images beside their ground truth and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from recseg_d2.visualization.frame import Frame
from recseg_d2.visualization.instances import count_text
from recseg_d2.visualization.panels import PANEL_SIDE, Panel, lay_out


@dataclass(frozen=True)
class MontageEntry:
    """One image of a montage; see ``instances`` for the forms that masks come in.

    Attributes:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        prediction: masks in order of discovery, or a label map.
        ground_truth: masks or a label map; None where it is unknown.
        caption: printed over the image, such as its name.
    """

    image: np.ndarray
    prediction: Any
    ground_truth: Any = None
    caption: str = "image"

    def panels(self, side: int) -> list[Panel | None]:
        """Image, ground truth and prediction, as panels with a longest side of so many pixels."""
        frame = Frame.of(self.image, side)
        found = frame.fit(self.prediction)
        truth = None if self.ground_truth is None else frame.truth(self.ground_truth, found)
        drawn = frame.panel(f"found: {count_text(len(found))}", found)
        return [frame.panel(self.caption), truth, drawn]


def draw_montage(
    entries: Sequence[MontageEntry], side: int = PANEL_SIDE, per_row: int = 1
) -> Image.Image:
    """A table: image, ground truth, prediction of each entry.

    A true object has the colour of the predicted one that covers it best, so that what was missed,
    split or merged is seen at once. The column of the ground truth is left out where no entry has
    any.

    Args:
        entries: the images with their masks, one or more.
        side: longest side of a panel in pixels.
        per_row: number of entries side by side.

    Raises:
        ValueError: there is no entry, or masks do not fit their image.
    """
    return lay_out_montage([entry.panels(side) for entry in entries], per_row)


def lay_out_montage(entries: Sequence[Sequence[Panel | None]], per_row: int = 1) -> Image.Image:
    """The same of the panels of each entry."""
    if not entries:
        raise ValueError("A montage needs at least one image.")
    if all(truth is None for _, truth, _ in entries):
        entries = [[image, found] for image, _, found in entries]
    rows = [entries[i : i + per_row] for i in range(0, len(entries), per_row)]
    return lay_out([[panel for entry in row for panel in entry] for row in rows])
