"""Images of different sizes in one tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class ImageList:
    """Images padded at the right and the bottom to a common size.

    Attributes:
        tensor: (N, ..., height, width).
        image_sizes: (height, width) of each image before padding.
    """

    def __init__(self, tensor: Tensor, image_sizes: list[tuple[int, int]]) -> None:
        self.tensor = tensor
        self.image_sizes = image_sizes

    def __len__(self) -> int:
        return len(self.image_sizes)

    def __getitem__(self, idx: int) -> Tensor:
        """An image without its padding."""
        height, width = self.image_sizes[idx]
        return self.tensor[idx, ..., :height, :width]

    def to(self, *args: Any, **kwargs: Any) -> ImageList:
        return ImageList(self.tensor.to(*args, **kwargs), self.image_sizes)

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    @staticmethod
    def from_tensors(
        tensors: Sequence[Tensor], size_divisibility: int = 0, pad_value: float = 0.0
    ) -> ImageList:
        """Pad images of shape (..., height, width) to the largest height and width.

        With ``size_divisibility`` above 1 both become multiples of it. Dimensions other than the
        last two are equal.
        """
        assert len({t.shape[:-2] for t in tensors}) == 1, "Images differ in more than their size."
        sizes = [(t.shape[-2], t.shape[-1]) for t in tensors]
        divisor = max(size_divisibility, 1)
        largest = (max(sides) for sides in zip(*sizes, strict=True))
        height, width = (math.ceil(side / divisor) * divisor for side in largest)
        padded = [
            F.pad(t, (0, width - w, 0, height - h), value=pad_value)
            for t, (h, w) in zip(tensors, sizes, strict=True)
        ]
        return ImageList(torch.stack(padded).contiguous(), sizes)
