"""Masks of instances as bitmaps and as polygons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import torch
from torch import Tensor

from .boxes import Boxes


def polygons_to_bitmask(polygons: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """Union of polygons [x0, y0, x1, y1, ...] as COCO rasterises them: bool (height, width)."""
    if len(polygons) == 0:  # pycocotools takes no empty list
        return np.zeros((height, width), dtype=bool)
    rles = mask_util.frPyObjects(list(polygons), height, width)
    return mask_util.decode(mask_util.merge(rles)).astype(bool)


class BitMasks:
    """Masks of the instances of an image, as bitmaps.

    Attributes:
        tensor: bool (N, height, width).
        image_size: (height, width).
    """

    def __init__(self, tensor: Any) -> None:
        self.tensor = torch.as_tensor(tensor).to(torch.bool)
        assert self.tensor.dim() == 3, f"(N, height, width) needed, not {self.tensor.shape}."
        self.image_size = self.tensor.shape[1:]

    def to(self, *args: Any, **kwargs: Any) -> BitMasks:
        return BitMasks(self.tensor.to(*args, **kwargs))

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    def nonempty(self) -> Tensor:
        """Which masks have a pixel: bool (N,)."""
        return self.tensor.flatten(1).any(dim=1)

    def get_bounding_boxes(self) -> Boxes:
        """Tight boxes, on the CPU; all zero for an empty mask."""
        sides = []
        for pixels in (self.tensor.any(dim=1), self.tensor.any(dim=2)):  # columns, rows: (N, L)
            length = pixels.shape[1]
            places = torch.arange(1, length + 1, device=pixels.device)
            first = torch.where(pixels, places - 1, length).amin(dim=1)
            last = torch.where(pixels, places, 0).amax(dim=1)
            sides.append(torch.stack((first.minimum(last), last), dim=1))
        return Boxes(torch.stack(sides, dim=2).flatten(1).cpu())

    @staticmethod
    def from_polygon_masks(polygon_masks: Any, height: int, width: int) -> BitMasks:
        """Rasterise a ``PolygonMasks``, or the lists of polygons of each instance."""
        masks = [polygons_to_bitmask(polygons, height, width) for polygons in polygon_masks]
        return BitMasks(np.stack(masks) if masks else np.zeros((0, height, width), dtype=bool))

    @staticmethod
    def cat(bitmasks_list: Sequence[BitMasks]) -> BitMasks:
        return BitMasks(torch.cat([masks.tensor for masks in bitmasks_list]))

    def __getitem__(self, item: Any) -> BitMasks:
        """Masks by index, slice, index vector or bool vector; an int gives one mask."""
        chosen = self.tensor[item]
        chosen = chosen[None] if isinstance(item, int) else chosen
        assert chosen.dim() == 3, f"Index {item} does not select masks."
        return BitMasks(chosen)

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        yield from self.tensor

    def __repr__(self) -> str:
        return f"BitMasks(num_instances={len(self)})"


class PolygonMasks:
    """Masks of the instances of an image, as polygons; always on the CPU.

    Attributes:
        polygons: for each instance a list of float64 vectors [x0, y0, x1, y1, ...] in pixels.
    """

    def __init__(self, polygons: list[list[Any]]) -> None:
        if not isinstance(polygons, list):
            raise ValueError(f"PolygonMasks takes a list of instances, not {type(polygons)}.")
        self.polygons = [self._check(instance) for instance in polygons]

    @staticmethod
    def _check(instance: Any) -> list[np.ndarray]:
        if not isinstance(instance, list):
            raise ValueError(
                f"An instance is a list of polygons, not {type(instance)}; for masks and RLE set "
                "INPUT.MASK_FORMAT to 'bitmask'."
            )
        arrays = [np.asarray(torch.as_tensor(p).cpu(), dtype=np.float64) for p in instance]
        for array in arrays:
            if len(array) % 2 or len(array) < 6:
                raise ValueError(f"Cannot create a polygon from {len(array)} coordinates.")
        return arrays

    def to(self, *args: Any, **kwargs: Any) -> PolygonMasks:
        return self

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def nonempty(self) -> Tensor:
        """Which instances have a polygon: bool (N,)."""
        return torch.tensor([len(instance) > 0 for instance in self.polygons], dtype=torch.bool)

    def get_bounding_boxes(self) -> Boxes:
        """Tight boxes; (inf, inf, 0, 0) for an instance without polygons."""
        boxes = []
        for instance in self.polygons:
            corners = np.concatenate([np.zeros((0, 2)), *(p.reshape(-1, 2) for p in instance)])
            boxes.append([*corners.min(axis=0, initial=np.inf), *corners.max(axis=0, initial=0)])
        return Boxes(boxes)

    def area(self) -> Tensor:
        """Sum of the areas of each instance's polygons, by the shoelace formula: (N,)."""
        areas = []
        for instance in self.polygons:
            corners = [(polygon[0::2], polygon[1::2]) for polygon in instance]
            twice = [np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)) for x, y in corners]
            areas.append(float(np.abs(twice).sum() / 2))
        return torch.tensor(areas)

    @staticmethod
    def cat(polymasks_list: Sequence[PolygonMasks]) -> PolygonMasks:
        return PolygonMasks([instance for masks in polymasks_list for instance in masks.polygons])

    def __getitem__(self, item: Any) -> PolygonMasks:
        """Instances by int, slice, list of indices, index tensor or bool tensor."""
        places = item.cpu().numpy() if isinstance(item, Tensor) else item
        chosen = np.atleast_1d(np.arange(len(self))[places])
        return PolygonMasks([self.polygons[i] for i in chosen])

    def __len__(self) -> int:
        return len(self.polygons)

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        return iter(self.polygons)

    def __repr__(self) -> str:
        return f"PolygonMasks(num_instances={len(self)})"
