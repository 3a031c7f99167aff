"""The transform that fvcore lacks: resizing by Pillow."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from fvcore.transforms.transform import Transform
from PIL import Image
from PIL.Image import Resampling

__all__ = ["ResizeTransform"]

_TORCH_MODES: dict[int, str] = {
    Resampling.NEAREST: "nearest",
    Resampling.BILINEAR: "bilinear",
    Resampling.BICUBIC: "bicubic",
}


class ResizeTransform(Transform):
    """Resize to a given size: uint8 by Pillow, everything else by torch."""

    def __init__(self, h, w, new_h, new_w, interp=None):
        """h, w: size of the image; new_h, new_w: size wanted; interp: a Pillow filter."""
        super().__init__()
        interp = Resampling.BILINEAR if interp is None else interp
        self._set_attributes(locals())

    def apply_image(self, img: np.ndarray, interp: int | None = None) -> np.ndarray:
        assert img.shape[:2] == (self.h, self.w), (
            f"ResizeTransform was made for images of {self.h} x {self.w}, got {img.shape[:2]}."
        )
        interp = self.interp if interp is None else interp
        if img.dtype == np.uint8:
            flat = img[:, :, 0] if img.shape[2:] == (1,) else img  # Pillow has no (H, W, 1)
            resized = Image.fromarray(flat).resize((self.new_w, self.new_h), interp)
            return np.asarray(resized).reshape(self.new_h, self.new_w, *img.shape[2:])
        return self._resize_in_torch(img, _TORCH_MODES[interp])

    def _resize_in_torch(self, img: np.ndarray, mode: str) -> np.ndarray:
        planes = torch.from_numpy(np.ascontiguousarray(img)).reshape(self.h, self.w, -1)
        resized = F.interpolate(
            planes.permute(2, 0, 1)[None],  # (1, C, h, w)
            (self.new_h, self.new_w),
            mode=mode,
            align_corners=None if mode == "nearest" else False,
        )
        return resized[0].permute(1, 2, 0).reshape(self.new_h, self.new_w, *img.shape[2:]).numpy()

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        coords[:, 0] = coords[:, 0] * (self.new_w / self.w)  # not *=: coords may be integers
        coords[:, 1] = coords[:, 1] * (self.new_h / self.h)
        return coords

    def apply_segmentation(self, segmentation: np.ndarray) -> np.ndarray:
        return self.apply_image(segmentation, interp=Resampling.NEAREST)

    def inverse(self) -> ResizeTransform:
        return ResizeTransform(self.new_h, self.new_w, self.h, self.w, self.interp)
