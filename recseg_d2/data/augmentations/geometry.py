"""Augmentations that move pixels.

Masks move exactly as the image does: the same matrix, nearest instead of bilinear sampling.
Coordinates are Detectron2's: the pixel in column i covers [i, i + 1), its centre is i + 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from detectron2.data import transforms as T
from fvcore.transforms.transform import (
    CropTransform,
    NoOpTransform,
    PadTransform,
    Transform,
    TransformList,
)
from PIL import Image

from recseg_d2.config.options import AffineOptions, SimilarityCropOptions


class AffineTransform(Transform):
    """Moves each point p = (x, y) to ``linear @ p + offset``; the frame may get another size.

    What comes in from outside the frame is the image's mean colour, and 0, that is background, in
    segmentations. (Continuing the edge would smear objects there into shapes without a mask.)
    """

    def __init__(self, linear: np.ndarray, offset: np.ndarray, size: tuple[int, int] | None = None):
        """Keep the map.

        Args:
            linear: (2, 2) invertible matrix, which is applied to points (x, y).
            offset: (2,) x and y in pixels, added after it.
            size: height and width of the frame afterwards; None keeps them.
        """
        super().__init__()
        self.size = size
        self.linear = np.asarray(linear, dtype=np.float64)
        self.offset = np.asarray(offset, dtype=np.float64)

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """Move an (H, W) or (H, W, C) image, bilinear."""
        return self._warp(img, Image.Resampling.BILINEAR, fill_with_mean=True)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """Move an (H, W) or (H, W, C) integer or bool segmentation, nearest."""
        return self._warp(segmentation, Image.Resampling.NEAREST, fill_with_mean=False)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Move (N, 2) points (x, y)."""
        return coords @ self.linear.T + self.offset

    def inverse(self) -> Transform:
        """The transform that undoes this one."""
        linear = np.linalg.inv(self.linear)
        return AffineTransform(linear, -linear @ self.offset)

    def _warp(
        self, array: np.ndarray, resampling: Image.Resampling, fill_with_mean: bool
    ) -> np.ndarray:
        """Sample an (H, W, ...) array channel by channel."""
        height, width = self.size or array.shape[:2]
        back = np.linalg.inv(self.linear)
        start = -back @ self.offset
        data = (back[0, 0], back[0, 1], start[0], back[1, 0], back[1, 1], start[1])
        working = _PIL_DTYPES.get(array.dtype.kind + str(array.dtype.itemsize), array.dtype)
        moved = np.empty((height, width, math.prod(array.shape[2:])), working)
        channels = array.reshape(*array.shape[:2], moved.shape[2])
        for c, channel in enumerate(np.moveaxis(channels, 2, 0)):
            plane = Image.fromarray(np.ascontiguousarray(channel, dtype=working))
            fill = moved.dtype.type(channel.mean() if fill_with_mean else 0).item()
            moved[..., c] = plane.transform(
                (width, height), Image.Transform.AFFINE, data, resampling, fillcolor=fill
            )
        return moved.reshape(height, width, *array.shape[2:]).astype(array.dtype)


# PIL warps 8-bit, 32-bit integer and 32-bit float planes; others are widened for it.
_PIL_DTYPES = {
    "b1": np.uint8, "i1": np.int32, "i2": np.int32, "u2": np.int32, "i8": np.int32,
    "u4": np.int32, "f2": np.float32, "f8": np.float32,
}  # fmt: skip


class TransposeTransform(Transform):
    """Swaps rows and columns: point (x, y) moves to (y, x)."""

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """Transpose the first two axes of an (H, W) or (H, W, C) image or segmentation."""
        return np.ascontiguousarray(img.swapaxes(0, 1))

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Swap x and y of (N, 2) points."""
        return coords[:, ::-1]

    def inverse(self) -> Transform:
        """The transposition is its own inverse."""
        return self


class RandomAffine(T.Augmentation):
    """The RSIS jitter: rotation, shear and zoom of each axis about the centre, then a shift."""

    def __init__(self, options: AffineOptions):
        """Draw from the ranges of the options."""
        super().__init__()
        self.options = options

    def get_transform(self, image: np.ndarray) -> Transform:
        """Draw a transform for an (H, W, ...) image."""
        side = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
        most = self.options
        angle = math.radians(self._rand_range(-most.rotation, most.rotation))
        shear = math.radians(self._rand_range(-most.shear, most.shear))
        zoom = self._rand_range(*most.zoom, size=2)
        shift = self._rand_range(-most.translation, most.translation, size=2) * side
        cos, sin = math.cos(angle), math.sin(angle)
        linear = (
            np.array([[cos, -sin], [sin, cos]]) @ [[1, math.tan(shear)], [0, 1]] @ np.diag(zoom)
        )
        return AffineTransform(linear, side / 2 + shift - linear @ (side / 2))


class RandomTranspose(T.Augmentation):
    """Swaps rows and columns with probability one half."""

    def get_transform(self, image: np.ndarray) -> Transform:
        """Draw whether an image of any size is transposed."""
        return TransposeTransform() if self._rand_range() < 0.5 else NoOpTransform()


class RandomPadCrop(T.Augmentation):
    """Puts zeros around the image and cuts its size out again, whole pixels from where it was.

    Source: the public code of Ren & Zemel, which draws one place for a batch, here one an image.
    """

    def __init__(self, pixels: int):
        """Keep the width of the frame of zeros."""
        super().__init__()
        self.pixels = pixels

    def get_transform(self, image: np.ndarray) -> Transform:
        """Draw a transform for an (H, W, ...) image; objects move by -p + 1 to p pixels."""
        p, (height, width) = self.pixels, image.shape[:2]
        x, y = (int(start) for start in self._rand_range(0, 2 * p, size=2))
        return TransformList([PadTransform(p, p, p, p), CropTransform(x, y, width, height)])


class RandomRelativeSize(T.Augmentation):
    """Multiplies both sides by one of several factors, as DeepMask's scales are of the image."""

    def __init__(self, factors: Sequence[float]):
        """Keep the factors."""
        super().__init__()
        self.factors = tuple(factors)

    def get_transform(self, image: np.ndarray) -> Transform:
        """Draw a transform for an (H, W, ...) image."""
        height, width = image.shape[:2]
        factor = self.factors[0]
        if len(self.factors) > 1:
            factor = self.factors[int(self._rand_range(0, len(self.factors)))]
        if factor == 1:
            return NoOpTransform()
        size = (max(1, round(height * factor)), max(1, round(width * factor)))
        return T.ResizeTransform(height, width, *size, Image.Resampling.BILINEAR)


class RandomSimilarityCrop(T.Augmentation):
    """A square crop, mirrored, turned by any quarter turn and a bit more, and magnified.

    ``upright`` leaves the quarter turns out; mirrored are left and right then.

    Half of the crops lie anywhere, the others near an object, each object with the same chance.
    """

    def __init__(self, options: SimilarityCropOptions) -> None:
        """Draw from the ranges of the options."""
        super().__init__()
        self.options = options

    def get_transform(self, image: np.ndarray, sem_seg: np.ndarray | None) -> AffineTransform:
        """Draw a transform.

        Args:
            image: (H, W, ...).
            sem_seg: (H, W) integer, the object of each pixel, 0 for none; None for no objects.
        """
        draw = self._rand_range
        scale = math.exp(draw(-self.options.log_scale, self.options.log_scale))
        turn = int(draw(0, 4)) * math.pi / 2
        if self.options.upright:
            turn = 0.0
        if draw() < 1 / 2:
            turn += math.radians(draw(-self.options.rotation, self.options.rotation))
        mirror = -1.0 if draw() < 1 / 2 else 1.0
        cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
        linear = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
        size = self.options.size
        half = size / 2
        centre = self._centre(image.shape[:2], half / scale, sem_seg)
        return AffineTransform(linear, half - linear @ centre, (size, size))

    def _centre(
        self, shape: tuple[int, ...], half: float, sem_seg: np.ndarray | None
    ) -> np.ndarray:
        """X and y of the crop's centre in the image; ``half`` is half its side there.

        A crop that fits stays inside, as far as its turn allows.
        """
        sides = np.array([shape[1], shape[0]], np.float64)
        low, high = np.minimum(half, sides / 2), np.maximum(sides - half, sides / 2)
        draw = self._rand_range
        anywhere = low + draw(size=2) * (high - low)
        if sem_seg is None or draw() < 1 / 2:
            return anywhere
        numbers = np.unique(sem_seg)
        numbers = numbers[numbers > 0]
        if not len(numbers):
            return anywhere
        y, x = np.nonzero(sem_seg == numbers[int(draw(0, len(numbers)))])
        pixel = int(draw(0, len(y)))
        around = np.array([x[pixel] + 0.5, y[pixel] + 0.5])
        around += draw(-half / 2, half / 2, size=2)
        return np.clip(around, low, high)
