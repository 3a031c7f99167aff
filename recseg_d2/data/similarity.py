"""Crops of one size at random places, orientations and magnifications."""

from __future__ import annotations

import math

import numpy as np
from detectron2.data import transforms as T

from recseg_d2.data.augmentations import AffineTransform


class RandomSimilarityCrop(T.Augmentation):
    """A square crop, mirrored, turned by any quarter turn and a bit more, and magnified.

    Half of the crops lie anywhere, the others near an object, each object with the same chance.

    Args:
        size: side of the crop, in pixels.
        log_scale: largest logarithm of the magnification, either way.
        rotation: largest turn beyond the quarter turns, in degrees, in half of the crops.
    """

    def __init__(self, size: int, log_scale: float, rotation: float) -> None:
        super().__init__()
        self.size, self.log_scale, self.rotation = size, log_scale, rotation

    def get_transform(self, image: np.ndarray, sem_seg: np.ndarray | None) -> AffineTransform:
        """Draw a transform.

        Args:
            image: (H, W, ...).
            sem_seg: (H, W) integer, the object of each pixel, 0 for none; None for no objects.
        """
        draw = self._rand_range
        scale = math.exp(draw(-self.log_scale, self.log_scale))
        turn = int(draw(0, 4)) * math.pi / 2
        if draw() < 1 / 2:
            turn += math.radians(draw(-self.rotation, self.rotation))
        mirror = -1.0 if draw() < 1 / 2 else 1.0
        cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
        linear = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
        half = self.size / 2
        centre = self._centre(image.shape[:2], half / scale, sem_seg)
        return AffineTransform(linear, half - linear @ centre, (self.size, self.size))

    def _centre(
        self, shape: tuple[int, ...], half: float, sem_seg: np.ndarray | None
    ) -> np.ndarray:
        """x and y of the crop's centre in the image; ``half`` is half its side there.

        A crop that fits stays inside, as far as its turn allows.
        """
        sides = np.array([shape[1], shape[0]], np.float64)
        low, high = np.minimum(half, sides / 2), np.maximum(sides - half, sides / 2)
        draw = self._rand_range
        if sem_seg is None or draw() < 1 / 2:
            return draw(low, high, size=2)
        numbers = np.unique(sem_seg)
        numbers = numbers[numbers > 0]
        if not len(numbers):
            return draw(low, high, size=2)
        y, x = np.nonzero(sem_seg == numbers[int(draw(0, len(numbers)))])
        pixel = int(draw(0, len(y)))
        around = np.array([x[pixel] + 0.5, y[pixel] + 0.5])
        around += draw(-half / 2, half / 2, size=2)
        return np.clip(around, low, high)
