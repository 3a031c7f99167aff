"""Augmentations by name, as Detectron2's.

Masks move exactly as the image does: the same matrix, nearest instead of bilinear sampling.
Coordinates are Detectron2's: the pixel in column i covers [i, i + 1), its centre is i + 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from detectron2.config import CfgNode
from detectron2.data import transforms as T
from fvcore.transforms.transform import NoOpTransform, Transform
from PIL import Image

from recseg_d2.errors import UserError


class AffineTransform(Transform):
    """Moves each point p = (x, y) to ``linear @ p + offset``; the frame keeps its size.

    What comes in from outside the frame is the image's mean colour, and 0, that is background, in
    segmentations. (Continuing the edge would smear objects there into shapes without a mask.)
    """

    def __init__(self, linear: np.ndarray, offset: np.ndarray):
        """Keep the map.

        Args:
            linear: (2, 2), invertible, for points (x, y).
            offset: (2,) pixels.
        """
        super().__init__()
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
        height, width = array.shape[:2]
        back = np.linalg.inv(self.linear)
        start = -back @ self.offset
        data = (back[0, 0], back[0, 1], start[0], back[1, 0], back[1, 1], start[1])
        working = _PIL_DTYPES.get(array.dtype.kind + str(array.dtype.itemsize), array.dtype)
        moved = np.empty((height, width, math.prod(array.shape[2:])), working)
        for c, channel in enumerate(np.moveaxis(array.reshape(moved.shape), 2, 0)):
            plane = Image.fromarray(np.ascontiguousarray(channel, dtype=working))
            fill = moved.dtype.type(channel.mean() if fill_with_mean else 0).item()
            moved[..., c] = plane.transform(
                (width, height), Image.Transform.AFFINE, data, resampling, fillcolor=fill
            )
        return moved.reshape(array.shape).astype(array.dtype)


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
        """Itself."""
        return self


class ColorTransform(Transform):
    """Multiplies and mixes channels: pixel p becomes ``matrix @ p + offset``, clipped to 0..255."""

    def __init__(self, matrix: np.ndarray, offset: float):
        """Keep the (3, 3) matrix and the offset in grey levels."""
        super().__init__()
        self.matrix = np.asarray(matrix, dtype=np.float32)
        self.offset = float(offset)

    def apply_image(self, img: np.ndarray) -> np.ndarray:
        """Recolour an (H, W, 3) uint8 image."""
        moved = img.astype(np.float32) @ self.matrix.T + self.offset
        return np.clip(np.rint(moved), 0, 255).astype(img.dtype)

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        """Nothing moves."""
        return segmentation

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Nothing moves."""
        return coords


class RandomAffine(T.Augmentation):
    """The RSIS jitter: rotation, shear and zoom of each axis about the centre, then a shift."""

    def __init__(
        self, rotation: float, translation: float, shear: float, zoom: tuple[float, float]
    ):
        """Set the ranges, all uniform.

        Args:
            rotation: degrees, either way.
            translation: share of the image's side, either way, for each axis.
            shear: degrees, either way.
            zoom: smallest and largest magnification.
        """
        super().__init__()
        if not 0 < zoom[0] <= zoom[1]:
            raise UserError(
                f"INPUT.AFFINE.ZOOM: found {tuple(zoom)}, expected (smallest, largest) "
                "magnification, above 0."
            )
        self.rotation, self.translation, self.shear, self.zoom = rotation, translation, shear, zoom

    def get_transform(self, image: np.ndarray) -> Transform:
        """Draw a transform for an (H, W, ...) image."""
        side = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
        angle = math.radians(self._rand_range(-self.rotation, self.rotation))
        shear = math.radians(self._rand_range(-self.shear, self.shear))
        zoom = self._rand_range(*self.zoom, size=2)
        shift = self._rand_range(-self.translation, self.translation, size=2) * side
        cos, sin = math.cos(angle), math.sin(angle)
        linear = (
            np.array([[cos, -sin], [sin, cos]]) @ [[1, math.tan(shear)], [0, 1]] @ np.diag(zoom)
        )
        return AffineTransform(linear, side / 2 + shift - linear @ (side / 2))


class RandomTranspose(T.Augmentation):
    """Swaps rows and columns with probability one half."""

    def get_transform(self, image: np.ndarray) -> Transform:
        """Draw a transform."""
        return TransposeTransform() if self._rand_range() < 0.5 else NoOpTransform()


class RandomColor(T.Augmentation):
    """Jitters brightness, contrast, saturation and each channel's gain, in any channel order."""

    def __init__(
        self,
        brightness: float = 0.1,
        contrast: float = 0.1,
        saturation: float = 0.1,
        gain: float = 0.05,
    ):
        """Set the ranges: each is a share, either way; brightness is a share of 255."""
        super().__init__()
        self.brightness, self.contrast = brightness, contrast
        self.saturation, self.gain = saturation, gain

    def get_transform(self, image: np.ndarray) -> Transform:
        """Draw a transform for an (H, W, 3) image."""
        saturation = 1 + self._rand_range(-self.saturation, self.saturation)
        contrast = 1 + self._rand_range(-self.contrast, self.contrast)
        gain = 1 + self._rand_range(-self.gain, self.gain, size=3)
        grey = np.full((3, 3), 1 / 3)
        matrix = contrast * np.diag(gain) @ (saturation * np.eye(3) + (1 - saturation) * grey)
        brightness = 255 * self._rand_range(-self.brightness, self.brightness)
        return ColorTransform(matrix, brightness + (1 - contrast) * 127.5)


_BUILDERS: dict[str, Callable[[CfgNode], T.Augmentation]] = {
    "hflip": lambda cfg: T.RandomFlip(prob=0.5, horizontal=True, vertical=False),
    "vflip": lambda cfg: T.RandomFlip(prob=0.5, horizontal=False, vertical=True),
    "transpose": lambda cfg: RandomTranspose(),
    "affine": lambda cfg: RandomAffine(
        cfg.INPUT.AFFINE.ROTATION,
        cfg.INPUT.AFFINE.TRANSLATION,
        cfg.INPUT.AFFINE.SHEAR,
        tuple(cfg.INPUT.AFFINE.ZOOM),
    ),
    "color": lambda cfg: RandomColor(),
}


def build_augmentations(cfg: CfgNode) -> list[T.Augmentation]:
    """The augmentations that ``cfg.INPUT.AUGS`` names, in that order.

    Raises:
        UserError: a name is unknown.
    """
    unknown = [name for name in cfg.INPUT.AUGS if name not in _BUILDERS]
    if unknown:
        raise UserError(
            f"INPUT.AUGS: found {', '.join(map(repr, unknown))}, expected any of "
            f"{', '.join(_BUILDERS)}."
        )
    return [_BUILDERS[name](cfg) for name in cfg.INPUT.AUGS]
