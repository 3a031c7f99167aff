"""Images as tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def resize_image(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A float image (channels, h, w) at another height and width.

    Bilinear, and averaging where it shrinks.
    """
    if tuple(image.shape[1:]) == size:
        return image
    return F.interpolate(
        image[None], size=size, mode="bilinear", align_corners=False, antialias=True
    )[0]
