"""Axis-aligned boxes (x0, y0, x1, y1) in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor


class BoxMode(IntEnum):
    """How four (five) numbers mean a box; the values are part of the data set format."""

    XYXY_ABS = 0  # corners in pixels
    XYWH_ABS = 1  # first corner, width and height in pixels
    XYXY_REL = 2  # as above, in shares of the image; the relative modes are names only
    XYWH_REL = 3
    XYWHA_ABS = 4  # rotated: centre, width, height, degrees; a name only, here

    @staticmethod
    def convert(box: Any, from_mode: BoxMode, to_mode: BoxMode) -> Any:
        """Convert one box (list or tuple of 4) or many (array or tensor of shape (N, 4)).

        Returns the same type. NotImplementedError but between XYXY_ABS and XYWH_ABS.
        """
        if from_mode == to_mode:
            return box
        if {from_mode, to_mode} != {BoxMode.XYXY_ABS, BoxMode.XYWH_ABS}:
            modes = f"{BoxMode(from_mode).name} to {BoxMode(to_mode).name}"
            raise NotImplementedError(f"Boxes cannot be converted from {modes} here.")
        sign = 1 if to_mode == BoxMode.XYXY_ABS else -1
        if isinstance(box, (list, tuple)):
            assert len(box) == 4, f"A box has 4 numbers, found {len(box)}: {box}."
            x, y, a, b = box
            return type(box)([x, y, a + sign * x, b + sign * y])  # type: ignore[misc]
        out = box.copy() if isinstance(box, np.ndarray) else box.clone()
        out[..., 2:4] += sign * out[..., :2]
        return out


class Boxes:
    """The boxes of an image.

    Attributes:
        tensor: float32 (N, 4), rows (x0, y0, x1, y1) in pixels.
    """

    def __init__(self, tensor: Any) -> None:
        tensor = torch.as_tensor(tensor).to(torch.float32)
        if tensor.numel() == 0:
            tensor = tensor.reshape(-1, 4)
        assert tensor.shape[1:] == (4,), f"(N, 4) needed, not {tensor.shape}."
        self.tensor = tensor

    def clone(self) -> Boxes:
        return Boxes(self.tensor.clone())

    def to(self, device: torch.device | str) -> Boxes:
        return Boxes(self.tensor.to(device=device))

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    def area(self) -> Tensor:
        """Areas (N,)."""
        sides = self.tensor[:, 2:] - self.tensor[:, :2]
        return sides[:, 0] * sides[:, 1]

    def clip(self, box_size: tuple[int, int]) -> None:
        """Cut to an image of (height, width), in place."""
        assert torch.isfinite(self.tensor).all(), "Boxes hold an infinite number or NaN."
        height, width = box_size
        x, y = self.tensor[:, 0::2].clamp(0, width), self.tensor[:, 1::2].clamp(0, height)
        self.tensor = torch.stack((x, y), dim=2).flatten(1)

    def nonempty(self, threshold: float = 0.0) -> Tensor:
        """Which boxes have both sides above the threshold: bool (N,)."""
        return (self.tensor[:, 2:] - self.tensor[:, :2] > threshold).all(dim=1)

    def scale(self, scale_x: float, scale_y: float) -> None:
        """Multiply coordinates, in place."""
        self.tensor[:, 0::2] *= scale_x
        self.tensor[:, 1::2] *= scale_y

    @classmethod
    def cat(cls, boxes_list: Sequence[Boxes]) -> Boxes:
        """One ``Boxes`` of all; none gives an empty one."""
        return cls(torch.cat([b.tensor for b in boxes_list]) if boxes_list else torch.empty(0))

    def __getitem__(self, item: Any) -> Boxes:
        """Boxes by index, slice, index vector or bool vector; an int gives a ``Boxes`` of one."""
        chosen = self.tensor[item]
        chosen = chosen[None] if isinstance(item, int) else chosen
        assert chosen.dim() == 2, f"Index {item} does not select boxes."
        return Boxes(chosen)

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        yield from self.tensor

    def __repr__(self) -> str:
        return f"Boxes({self.tensor})"


def pairwise_iou(boxes1: Boxes, boxes2: Boxes) -> Tensor:
    """Intersection over union (N, M) of each pair; 0 where they share nothing."""
    one, two = boxes1.tensor[:, None], boxes2.tensor[None]
    sides = torch.min(one[..., 2:], two[..., 2:]) - torch.max(one[..., :2], two[..., :2])
    common = sides.clamp(min=0).prod(dim=2)
    union = boxes1.area()[:, None] + boxes2.area() - common
    return torch.where(common > 0, common / union, torch.zeros_like(common))
