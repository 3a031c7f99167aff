"""The heat map over a search: computed anew only where the canvas changed."""

from __future__ import annotations

import torch
from scipy import ndimage
from torch import nn

from recseg_d2.models.dense_attention.heat import REACH, HeatFeatures
from recseg_d2.models.dense_attention.trunk import COARSE_STRIDE, FINE_STRIDE

_BLOCK = 64  # pixels; changes are collected in blocks of this side
_WHOLE = 0.5  # share of blocks from which on computing everything is cheaper

Region = tuple[slice, slice]


class HeatUpdate:
    """Heat probabilities of one image for a canvas that changes bit by bit.

    Args:
        network: a ``HeatMap``.
        features: what ``HeatMap.prepare`` made of the image, B = 1.
    """

    def __init__(self, network: nn.Module, features: HeatFeatures) -> None:
        self.network, self.features = network, features
        self.heat: torch.Tensor | None = None

    def __call__(self, canvas: torch.Tensor, changes: list[Region]) -> torch.Tensor:
        """Heat (H/2, W/2).

        Args:
            canvas: (1, 2, H, W), channels of the canvas.
            changes: rows and columns in which it differs from that of the last call; not looked
                at in the first.
        """
        if self.heat is None:
            self.heat = self.network(self.features, canvas)[0].sigmoid()
            return self.heat
        for region in changed_regions(changes, canvas.shape[2:]):
            self._update(canvas, region)
        return self.heat

    def _update(self, canvas: torch.Tensor, region: Region) -> None:
        """Compute a region, which begins and ends at whole blocks, from its surroundings."""
        assert self.heat is not None
        around = tuple(
            slice(max(part.start - REACH, 0), min(part.stop + REACH, side))
            for part, side in zip(region, canvas.shape[2:], strict=True)
        )
        fine, coarse = (
            tuple(slice(part.start // stride, part.stop // stride) for part in around)
            for stride in (FINE_STRIDE, COARSE_STRIDE)
        )
        features = HeatFeatures(
            self.features.fine[:, :, fine[0], fine[1]],
            self.features.coarse[:, :, coarse[0], coarse[1]],
        )
        heat = self.network(features, canvas[:, :, around[0], around[1]])[0].sigmoid()
        inner, outer = [], []
        for part, whole in zip(region, around, strict=True):
            start, stop = part.start // FINE_STRIDE, part.stop // FINE_STRIDE
            outer.append(slice(start, stop))
            offset = whole.start // FINE_STRIDE
            inner.append(slice(start - offset, stop - offset))
        self.heat[outer[0], outer[1]] = heat[inner[0], inner[1]]


def changed_regions(changes: list[Region], size: torch.Size) -> list[Region]:
    """Rectangles of whole blocks that hold all heat that changes of the canvas may reach.

    Args:
        changes: rows and columns of pixels that changed.
        size: height and width of the image in pixels.

    Returns:
        Rows and columns of pixels, clipped to the image; the whole image where that is cheaper.
    """
    rows, columns = -(-size[0] // _BLOCK), -(-size[1] // _BLOCK)
    dirty = torch.zeros(rows, columns, dtype=torch.bool)
    for change in changes:
        first, last = zip(
            *((max(p.start - REACH, 0) // _BLOCK, -(-(p.stop + REACH) // _BLOCK)) for p in change),
            strict=True,
        )
        dirty[first[0] : last[0], first[1] : last[1]] = True
    if dirty.float().mean() >= _WHOLE:
        return [(slice(0, size[0]), slice(0, size[1]))]
    groups, _ = ndimage.label(dirty.numpy())
    return [
        (
            slice(part[0].start * _BLOCK, min(part[0].stop * _BLOCK, size[0])),
            slice(part[1].start * _BLOCK, min(part[1].stop * _BLOCK, size[1])),
        )
        for part in ndimage.find_objects(groups)
    ]
