"""The random augmentations. May use: numpy, Pillow, fvcore.

They draw from numpy's global generator, in Detectron2's order: one seed, one picture, on both.
"""
# ruff: noqa: NPY002

from __future__ import annotations

import sys

import numpy as np
from fvcore.transforms.transform import (
    BlendTransform,
    CropTransform,
    HFlipTransform,
    NoOpTransform,
    Transform,
    VFlipTransform,
)
from PIL.Image import Resampling

from .augmentation import AugInput, Augmentation, _transform_to_aug
from .transform import ResizeTransform

__all__ = [
    "RandomApply",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomSaturation",
    "Resize",
    "ResizeShortestEdge",
]

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, of red, green, blue
_CROP_TYPES = ("relative_range", "relative", "absolute", "absolute_range")


def _to_pixels(length: float) -> int:
    return int(length + 0.5)


class RandomApply(Augmentation):
    """Apply an augmentation or transform with a probability."""

    def __init__(self, tfm_or_aug, prob=0.5):
        assert 0.0 <= prob <= 1.0, f"Expected a probability in [0, 1], got {prob}."
        self.aug = _transform_to_aug(tfm_or_aug)
        self.prob = prob

    def get_transform(self, *args) -> Transform:
        return self.aug.get_transform(*args) if self._rand_range() < self.prob else NoOpTransform()

    def __call__(self, aug_input: AugInput) -> Transform:
        return self.aug(aug_input) if self._rand_range() < self.prob else NoOpTransform()


class RandomFlip(Augmentation):
    """Flip left to right, or top to bottom, with a probability."""

    def __init__(self, prob=0.5, *, horizontal=True, vertical=False):
        if horizontal == vertical:
            raise ValueError("Exactly one of horizontal and vertical has to be True.")
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
    """Scale the shorter edge to a length, unless the longer one would exceed ``max_size``."""

    def __init__(
        self,
        short_edge_length,
        max_size=sys.maxsize,
        sample_style="range",
        interp=Resampling.BILINEAR,
    ):
        """Set the lengths to draw from.

        Args:
            short_edge_length: [least, most] for "range", the lengths to choose from for "choice";
                an int is one fixed length. Length 0 leaves the image as it is.
            max_size: the most that the longer edge may have, in pixels.
            sample_style: "range" or "choice".
            interp: a Pillow filter.
        """
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
        return _to_pixels(height), _to_pixels(width)


class RandomCrop(Augmentation):
    """Crop a rectangle at a random place."""

    def __init__(self, crop_type, crop_size):
        """Set the size of the crop.

        Args:
            crop_type: "relative": crop_size is (height, width) in shares of the image;
                "relative_range": each share is drawn between crop_size and 1;
                "absolute": crop_size is (height, width) in pixels;
                "absolute_range": each side is drawn between crop_size[0] and crop_size[1] pixels.
            crop_size: two numbers.
        """
        assert crop_type in _CROP_TYPES, f"{crop_type!r} is none of {', '.join(_CROP_TYPES)}."
        self._init(locals())

    def get_transform(self, image: np.ndarray) -> Transform:
        height, width = image.shape[:2]
        crop_height, crop_width = self.get_crop_size((height, width))
        y = np.random.randint(height - crop_height + 1)
        x = np.random.randint(width - crop_width + 1)
        return CropTransform(x, y, crop_width, crop_height)

    def get_crop_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) in pixels, for an image of (height, width)."""
        if self.crop_type == "absolute":
            return min(self.crop_size[0], image_size[0]), min(self.crop_size[1], image_size[1])
        if self.crop_type == "absolute_range":
            least, most = self.crop_size
            sides = [np.random.randint(min(s, least), min(s, most) + 1) for s in image_size]
            return sides[0], sides[1]
        share = np.asarray(self.crop_size, dtype=np.float32)
        if self.crop_type == "relative_range":
            share = np.add(share, np.random.rand(2) * (1 - share))
        return _to_pixels(image_size[0] * share[0]), _to_pixels(image_size[1] * share[1])


class _RandomBlend(Augmentation):
    """Blend the image with something: weight 1 keeps it, 0 replaces it, above 1 exaggerates."""

    def __init__(self, intensity_min, intensity_max):
        self._init(locals())

    def get_transform(self, image: np.ndarray) -> Transform:
        weight = np.random.uniform(self.intensity_min, self.intensity_max)
        return BlendTransform(self._blend_with(image), src_weight=1 - weight, dst_weight=weight)

    def _blend_with(self, image: np.ndarray) -> np.ndarray | float:
        raise NotImplementedError


class RandomContrast(_RandomBlend):
    """Blend the image with its mean."""

    def _blend_with(self, image: np.ndarray) -> float:
        return image.mean()


class RandomBrightness(_RandomBlend):
    """Blend the image with black."""

    def _blend_with(self, image: np.ndarray) -> float:
        return 0


class RandomSaturation(_RandomBlend):
    """Blend an RGB image with its grey version."""

    def _blend_with(self, image: np.ndarray) -> np.ndarray:
        assert image.shape[-1] == 3, f"RandomSaturation needs RGB, got shape {image.shape}."
        return image.dot(_LUMA)[:, :, None]
