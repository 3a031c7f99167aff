"""The random augmentations.

They draw from numpy's global generator, in Detectron2's order: one seed, one picture, on both.
"""
# ruff: noqa: NPY002

from __future__ import annotations

import sys

import numpy as np
from fvcore.transforms.transform import HFlipTransform, NoOpTransform, Transform, VFlipTransform
from PIL.Image import Resampling

from .augmentation import AugInput, Augmentation, AugmentationList
from .transform import ResizeTransform

__all__ = ["RandomApply", "RandomFlip", "Resize", "ResizeShortestEdge"]


class RandomApply(Augmentation):
    """Apply an augmentation or transform with a probability."""

    def __init__(self, tfm_or_aug, prob=0.5):
        assert 0.0 <= prob <= 1.0, f"Expected a probability in [0, 1], got {prob}."
        self.aug = AugmentationList([tfm_or_aug]).augs[0]
        self.prob = prob

    def get_transform(self, *args) -> Transform:
        return self.aug.get_transform(*args) if self._rand_range() < self.prob else NoOpTransform()

    def __call__(self, aug_input: AugInput) -> Transform:
        return self.aug(aug_input) if self._rand_range() < self.prob else NoOpTransform()


class RandomFlip(Augmentation):
    """Flip left to right, or top to bottom, with a probability."""

    def __init__(self, prob=0.5, *, horizontal=True, vertical=False):
        if horizontal == vertical:
            raise ValueError("RandomFlip is either horizontal or vertical; use two for both.")
        self._init(locals())

    def get_transform(self, image: np.ndarray) -> Transform:
        height, width = image.shape[:2]
        if self._rand_range() >= self.prob:
            return NoOpTransform()
        return HFlipTransform(width) if self.horizontal else VFlipTransform(height)


class Resize(Augmentation):
    """Resize to a fixed size: (height, width), or one int for both."""

    def __init__(self, shape, interp=Resampling.BILINEAR):
        shape = (shape, shape) if isinstance(shape, int) else tuple(shape)
        self._init(locals())

    def get_transform(self, image: np.ndarray) -> Transform:
        height, width = image.shape[:2]
        new_height, new_width = self.shape
        return ResizeTransform(height, width, new_height, new_width, self.interp)


class ResizeShortestEdge(Augmentation):
    """Scale the shorter edge to a length, unless the longer one would exceed ``max_size`` pixels.

    ``short_edge_length`` is [least, most] for the ``sample_style`` "range", the lengths to choose
    from for "choice", an int for a fixed length. Length 0 leaves the image as it is.
    """

    def __init__(
        self,
        short_edge_length,
        max_size=sys.maxsize,
        sample_style="range",
        interp=Resampling.BILINEAR,
    ):
        assert sample_style in ("range", "choice"), f"Unknown sample_style {sample_style!r}."
        if isinstance(short_edge_length, int):
            short_edge_length = (short_edge_length, short_edge_length)
        assert sample_style == "choice" or len(short_edge_length) == 2, (
            f"sample_style 'range' needs two lengths, got {short_edge_length}."
        )
        self._init(locals())

    def get_transform(self, image: np.ndarray) -> Transform:
        if self.sample_style == "range":
            size = np.random.randint(self.short_edge_length[0], self.short_edge_length[1] + 1)
        else:
            size = np.random.choice(self.short_edge_length)
        if size == 0:
            return NoOpTransform()
        height, width = image.shape[:2]
        new = self.get_output_shape(height, width, size, self.max_size)
        return ResizeTransform(height, width, *new, self.interp)

    @staticmethod
    def get_output_shape(
        oldh: int, oldw: int, short_edge_length: int, max_size: int
    ) -> tuple[int, int]:
        """(height, width) after scaling."""
        size = 1.0 * short_edge_length
        scale = size / min(oldh, oldw)
        height, width = (size, scale * oldw) if oldh < oldw else (scale * oldh, size)
        if max(height, width) > max_size:
            shrink = max_size * 1.0 / max(height, width)
            height, width = height * shrink, width * shrink
        return int(height + 0.5), int(width + 0.5)
