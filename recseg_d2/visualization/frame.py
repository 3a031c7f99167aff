"""An image at the size of a panel, as all figures of an image begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recseg_d2.visualization.instances import count_text, fit_masks, matching_colors
from recseg_d2.visualization.overlays import draw_masks
from recseg_d2.visualization.panels import Panel, as_rgb, fitted_size, resize_picture


@dataclass(frozen=True)
class Frame:
    """An image at the size of a panel; see ``instances`` for the forms that masks come in.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        given: H and W, height and width of the image before in pixels.
    """

    image: np.ndarray
    given: tuple[int, int]

    @classmethod
    def of(cls, image: np.ndarray, side: int) -> Frame:
        """Bring an image to the size of a panel.

        Args:
            image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
            side: longest side of the panel in pixels.

        Raises:
            ValueError: an image of another kind.
        """
        rgb = as_rgb(image)
        height, width = rgb.shape[:2]
        return cls(resize_picture(rgb, fitted_size((height, width), side)), (height, width))

    @property
    def size(self) -> tuple[int, int]:
        """H and w, height and width of the panel in pixels."""
        return self.image.shape[0], self.image.shape[1]

    def fit(self, instances: Any) -> np.ndarray:
        """(K, h, w) bool of masks or a label map of the image before."""
        return fit_masks(instances, self.given, self.size)

    def panel(
        self, caption: str, masks: np.ndarray | None = None, colors: np.ndarray | None = None
    ) -> Panel:
        """The image, with (K, h, w) masks over it where they are given."""
        return Panel(
            self.image if masks is None else draw_masks(self.image, masks, colors), caption
        )

    def truth(self, ground_truth: Any, found: np.ndarray) -> Panel:
        """The ground truth, coloured like the (K, h, w) masks that were found.

        So what was missed, split or merged is seen at once.
        """
        truth = self.fit(ground_truth)
        caption = f"truth: {count_text(len(truth))}"
        return self.panel(caption, truth, matching_colors(truth, found))
