"""The targets of a batch as tensors, at the stride of the heat map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from recseg_d2.models.dense_attention.targets import IGNORED, ObjectTargets, direction_bins
from recseg_d2.models.dense_attention.trunk import FINE_STRIDE


@dataclass
class TargetBatch:
    """B images with at most N objects each; h = H / 2 and w = W / 2.

    Tables of objects have a row 0 for the background: row k + 1 is object k.

    Attributes:
        objects: the true objects of each image.
        labels: (B, H, W) int64, as in ``ObjectTargets``.
        cell_labels: (B, h, w) int64, the label of each cell's deepest pixel.
        cell_depth: (B, h, w) float in [0, 1], depth of that pixel within its object.
        foreground: (B, h, w) float, share of the cell that objects cover.
        known: (B, h, w) bool, whether no pixel of the cell is ignored.
        directions: (B, h, w) int64, -1 outside of objects.
        boxes: (B, N + 1, 4) float, x1 y1 x2 y2 of each object in pixels.
        areas: (B, N + 1) float; 1 for the background.
        classes: (B, N + 1) int64, the class of each object from 0.
    """

    objects: list[ObjectTargets]
    labels: torch.Tensor
    cell_labels: torch.Tensor
    cell_depth: torch.Tensor
    foreground: torch.Tensor
    known: torch.Tensor
    directions: torch.Tensor
    boxes: torch.Tensor
    areas: torch.Tensor
    classes: torch.Tensor

    def per_cell(self, table: torch.Tensor) -> torch.Tensor:
        """Values (B, h, w) of a table (B, N + 1) at each cell's object."""
        flat = self.cell_labels.clamp(min=0).flatten(1)
        return table.gather(1, flat).view_as(self.cell_labels)


def target_batch(
    objects: list[ObjectTargets], bins: int, device: torch.device, size: Sequence[int]
) -> TargetBatch:
    """Stack the targets of images.

    Args:
        objects: the true objects of each image.
        bins: number of bins of the direction towards an object's centre.
        device: device of the result.
        size: height and width of the batch; smaller images are ignored beyond their own size.
    """
    objects = [_padded(o, size) for o in objects]
    labels = torch.from_numpy(np.stack([o.labels for o in objects])).to(device).long()
    depth = torch.from_numpy(np.stack([o.depth for o in objects])).to(device)
    directions = np.stack([direction_bins(o, bins, FINE_STRIDE) for o in objects])
    cell_depth, index = F.max_pool2d(depth[:, None], FINE_STRIDE, return_indices=True)
    cell_labels = labels.flatten(1).gather(1, index[:, 0].flatten(1)).view_as(index[:, 0])
    ignored = F.max_pool2d((labels < 0).float()[:, None], FINE_STRIDE)[:, 0]
    return TargetBatch(
        objects=objects,
        labels=labels,
        cell_labels=cell_labels,
        cell_depth=cell_depth[:, 0],
        foreground=F.avg_pool2d((labels > 0).float()[:, None], FINE_STRIDE)[:, 0],
        known=ignored == 0,
        directions=torch.from_numpy(directions).to(device),
        boxes=_table([o.boxes for o in objects], 0, np.float32).to(device),
        areas=_table([o.areas for o in objects], 1, np.float32).to(device),
        classes=_table([o.classes for o in objects], 0, np.int64).to(device),
    )


def _padded(objects: ObjectTargets, size: Sequence[int]) -> ObjectTargets:
    """The targets of a larger image, whose further pixels are ignored."""
    height, width = objects.labels.shape
    more = ((0, size[0] - height), (0, size[1] - width))
    labels = np.pad(objects.labels, more, constant_values=IGNORED)
    return replace(objects, labels=labels, depth=np.pad(objects.depth, more))


def object_table(rows: list[np.ndarray], background: float, device: torch.device) -> torch.Tensor:
    """A float table (B, N + 1) of one number for each object of each image."""
    return _table(rows, background, np.float32).to(device)


def _table(rows: list[np.ndarray], background: float, dtype: type) -> torch.Tensor:
    longest = max(len(row) for row in rows)
    table = np.full((len(rows), longest + 1, *rows[0].shape[1:]), background, dtype)
    for image, row in enumerate(rows):
        table[image, 1 : len(row) + 1] = row
    return torch.from_numpy(table)
