"""Random boxes as mask proposals, which any proposals have to beat. May use: numpy only.

Sides are log-uniform, as sizes of objects roughly are; a proposal is its whole box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recseg_d2.errors import UserError


@dataclass(frozen=True)
class BoxRange:
    """What boxes are drawn from.

    Attributes:
        smallest: geometric mean of a box's sides, at least, as a share of the image's shorter side.
        largest: the same, at most.
        aspect: width over height is in [1 / aspect, aspect], log-uniform.
    """

    smallest: float = 0.08
    largest: float = 0.8
    aspect: float = 2.0

    def __post_init__(self) -> None:
        if not (0 < self.smallest <= self.largest <= 1 <= self.aspect):
            raise UserError(
                f"random boxes: found sides of {self.smallest} to {self.largest} and an aspect of "
                f"{self.aspect}; expected 0 < smallest <= largest <= 1 <= aspect."
            )


def random_boxes(
    rng: np.random.Generator, shape: tuple[int, int], number: int, given: BoxRange
) -> np.ndarray:
    """Boxes that lie in an image, uniform in place.

    Args:
        rng: to draw with.
        shape: the image's height and width in pixels.
        number: of boxes.
        given: their sizes and proportions.

    Returns:
        (number, 4) int64 x1 y1 x2 y2, the last pixel's far edge included; each at least a pixel
        wide and high.
    """
    octaves = rng.uniform(np.log(given.smallest), np.log(given.largest), number)
    side = np.exp(octaves) * min(shape)
    stretch = np.exp(rng.uniform(-0.5, 0.5, number) * np.log(given.aspect))
    size = np.stack([side * stretch, side / stretch], axis=1)  # width, height
    limit = np.array([shape[1], shape[0]])
    size = np.clip(np.rint(size), 1, limit).astype(np.int64)
    low = np.floor(rng.uniform(size=(number, 2)) * (limit - size + 1)).astype(np.int64)
    return np.concatenate([low, low + size], axis=1)


def box_masks(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(number, H, W) bool, each box filled; boxes as ``random_boxes`` returns them."""
    x, y = np.arange(shape[1])[None], np.arange(shape[0])[None]
    columns = (x >= boxes[:, 0:1]) & (x < boxes[:, 2:3])
    rows = (y >= boxes[:, 1:2]) & (y < boxes[:, 3:4])
    return rows[:, :, None] & columns[:, None, :]
