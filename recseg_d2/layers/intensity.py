"""Bringing the values of images of any depth to one range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from recseg_d2.errors import require

_VALUES_LOOKED_AT = 2**20  # of an image; percentiles of so many are as good as those of all
_CLIP = (-0.2, 1.5)  # of values outside of the range: a few bright ones must not rule the others


@dataclass(frozen=True)
class IntensityOptions:
    """How an image's values become those that MODEL.PIXEL_MEAN and PIXEL_STD are for."""

    # stored: as they are in the file, 8 bits. percentiles: each image's own become 0 and 1.
    # range: two values, the same in all images, become 0 and 1.
    kind: Literal["stored", "percentiles", "range"] = "stored"
    percentiles: tuple[float, float] = (1.0, 99.8)  # of an image's values, that become 0 and 1
    limits: tuple[float, float] = (0.0, 255.0)  # of "range": the values that become 0 and 1
    joint: bool = True  # all channels by one range, which keeps colours; False: each by its own

    def __post_init__(self) -> None:
        low, high = self.percentiles
        require(0 <= low < high <= 100, self, "percentiles", "(low, high) within 0 to 100")
        require(self.limits[0] < self.limits[1], self, "limits", "(low, high)")


def unit_intensity(image: np.ndarray, options: IntensityOptions) -> np.ndarray:
    """An image with its values where models expect them.

    Args:
        image: (H, W, C) of any type of number.
        options: which values become 0 and 1; the kind "stored" only changes the type.

    Returns:
        (H, W, C) float32: 0 and 1 at the two values that the options name, clipped well outside
        of them. An image of one value becomes zeros.
    """
    values = image.astype(np.float32)
    if options.kind == "stored":
        return values
    low, high = intensity_range(image, options)
    spread = np.maximum(high - low, np.finfo(np.float32).tiny)
    values -= low.astype(np.float32)
    values /= spread.astype(np.float32)
    if not _whole_numbers(image):
        np.nan_to_num(values, copy=False)
    return np.clip(values, *_CLIP, out=values)


def intensity_range(image: np.ndarray, options: IntensityOptions) -> tuple[np.ndarray, np.ndarray]:
    """The values of an (H, W, C) image that become 0 and 1: one each, or (C,) float64 each.

    Values that are not finite do not count.
    """
    if options.kind == "range":
        low, high = options.limits
        return np.asarray(low, np.float64), np.asarray(high, np.float64)
    step = _stride((image.shape[0], image.shape[1]))
    seen = image[::step, ::step].reshape(-1, image.shape[2])
    columns = [seen.ravel()] if options.joint else list(seen.T)
    if not _whole_numbers(image):
        columns = [c[np.isfinite(c)] for c in columns]
    ends = [np.percentile(c, options.percentiles) if len(c) else (0.0, 1.0) for c in columns]
    low, high = np.asarray(ends, np.float64).T
    return (low[0], high[0]) if options.joint else (low, high)


def unit_intensity_of_tensor(image: torch.Tensor, options: IntensityOptions) -> torch.Tensor:
    """``unit_intensity`` of a float image (C, H, W) without NaN, for models that are exported."""
    if options.kind == "stored":
        return image
    if options.kind == "range":
        low, high = image.new_tensor(options.limits).unbind()
    else:
        step = _stride((image.shape[1], image.shape[2]))
        seen = image[:, ::step, ::step]
        values = seen.reshape(1 if options.joint else len(image), -1).sort(dim=1).values
        low, high = (_percentile(values, p)[:, None, None] for p in options.percentiles)
    spread = (high - low).clamp(min=torch.finfo(torch.float32).tiny)
    return ((image - low) / spread).clamp(*_CLIP)


def _percentile(ascending: torch.Tensor, percent: float) -> torch.Tensor:
    """(K,) of sorted values (K, N), linear between two of them, as numpy has it."""
    at = percent / 100 * (ascending.shape[1] - 1)
    below = int(at)
    above = min(below + 1, ascending.shape[1] - 1)
    return ascending[:, below] + (at - below) * (ascending[:, above] - ascending[:, below])


def _stride(size: tuple[int, int]) -> int:
    """Every how many-th row and column is looked at."""
    return max(1, int((size[0] * size[1] / _VALUES_LOOKED_AT) ** 0.5))


def _whole_numbers(image: np.ndarray) -> bool:
    """Whether all values are finite by their type."""
    return not np.issubdtype(image.dtype, np.inexact)
