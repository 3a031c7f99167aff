"""What the layouts of scenes share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recseg_d2.data.scenes import MIN_SIZE, draw_scene
from recseg_d2.errors import UserError

HEIGHT_SHARE = 0.75  # images are wider than high, as photographs are


@dataclass(frozen=True)
class Scene:
    """A drawn image.

    Attributes:
        number: 1, 2, ...
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, 0 is background, k the k-th object that is left after cropping.
        classes: index of the shape's class for each object.
    """

    number: int
    image: np.ndarray
    labels: np.ndarray
    classes: list[int]


def numbered_scenes(seeds: list[int], size: int) -> Iterator[Scene]:
    """The scenes of some seeds, ``size`` wide, cropped to three quarters of it in height.

    Raises:
        UserError: ``size`` is less than what shapes need.
    """
    if size < MIN_SIZE:
        raise UserError(f"size: found {size}, expected at least {MIN_SIZE} for scenes.")
    for number, seed in enumerate(seeds, start=1):
        image, labels, classes = draw_scene(seed, size)
        top = (size - round(HEIGHT_SHARE * size)) // 2
        rows = slice(top, top + round(HEIGHT_SHARE * size))
        left, consecutive = np.unique(labels[rows], return_inverse=True)
        offset = 0 if left[0] == 0 else 1
        cropped = (consecutive.reshape(labels[rows].shape) + offset).astype(np.uint8)
        kept = [classes[label - 1] for label in left.tolist() if label > 0]
        yield Scene(number, image[rows], cropped, kept)
