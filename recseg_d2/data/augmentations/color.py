"""Augmentations of the colours of 8-bit images."""

from __future__ import annotations

import numpy as np
from detectron2.data import transforms as T
from fvcore.transforms.transform import Transform


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
        """Points and objects stay where they are."""
        return segmentation

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Points and objects stay where they are."""
        return coords


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
