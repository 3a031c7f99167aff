"""A stand-in for the network that knows the answer: its images are label maps.

Everything else of the search runs as it is: rounds, canvas, drawing, tiles.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.models.dense_attention.heat import HeatFeatures
from recseg_d2.models.dense_attention.model import Encoding
from recseg_d2.models.dense_attention.targets import object_targets
from recseg_d2.models.dense_attention.window_network import WindowOutputs
from recseg_d2.models.dense_attention.window_reading import read_windows
from recseg_d2.models.dense_attention.windows import Windows, windows_around

CELLS = 32


class OracleHeat(nn.Module):
    """Heat where the core of an object is and the canvas is free."""

    def forward(self, features: HeatFeatures, canvas: torch.Tensor) -> torch.Tensor:
        taken = F.max_pool2d(canvas[:, 0], 2)
        return torch.where(taken > 0, -20.0, features.fine[:, 0])


class Oracle(nn.Module):
    """Finds each object of a label map; objects of ``unsure`` get a score of nearly 0."""

    stride = 32

    def __init__(self, unsure: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.heat = OracleHeat()
        self.unsure = unsure
        self.looks: list[int] = []  # windows of each call

    def encode(self, images: torch.Tensor) -> Encoding:
        numbers = images[0, 0].round().int().numpy()
        # the number of an object in the image, as targets renumber them
        names, labels = np.unique(numbers, return_inverse=True)
        labels = labels.reshape(numbers.shape) + (0 if names[0] == 0 else 1)
        targets = object_targets(labels, np.zeros(labels.max() + 1, int), 1)
        depth = torch.from_numpy(targets.depth)
        cell_depth, index = F.max_pool2d(depth[None, None], 2, return_indices=True)
        k = torch.from_numpy(targets.labels).flatten()[index[0, 0].flatten()].view(index.shape[2:])
        boxes = torch.cat([torch.zeros(1, 4), torch.from_numpy(targets.boxes)])[k.long()]
        rows, columns = torch.meshgrid(*(torch.arange(n) for n in k.shape), indexing="ij")
        x, y = columns * 2 + 1.0, rows * 2 + 1.0
        distances = torch.stack(
            [x - boxes[..., 0], y - boxes[..., 1], boxes[..., 2] - x, boxes[..., 3] - y]
        )
        heat = torch.where(cell_depth[0] > 0, cell_depth[0] * 4 + 0.01 * k / 100, -20.0)
        features = HeatFeatures(heat[None], torch.zeros(1, 1, *(n // 4 for n in k.shape)))
        return Encoding(images, images, images, distances[None].clamp(min=0.5), features)

    def windows(self, boxes: torch.Tensor) -> torch.Tensor:
        return windows_around(boxes, 1.5, 4.0)

    def windows_at(self, places: torch.Tensor, boxes: torch.Tensor) -> Windows:
        squares = self.windows(boxes)
        return Windows(places, boxes, squares, squares[:, 2].tolist())

    def look(self, encoding: Encoding, canvas: torch.Tensor, windows: Windows) -> torch.Tensor:
        self.looks.append(len(windows.sides))
        numbers = encoding.images[0, 0].round()
        x, y = windows.places.long().unbind(1)
        # the most frequent number of the four pixels that make the cell
        block = torch.stack([numbers[y - dy, x - dx] for dy in (0, 1) for dx in (0, 1)])
        own = block.amax(dim=0)
        masks = (numbers[None] == own[:, None, None]).float()[:, None]
        read = read_windows(masks, windows.squares, CELLS)
        return torch.cat([read, own.view(-1, 1, 1, 1).expand(-1, 1, CELLS, CELLS)], dim=1)

    def segment(self, seen: torch.Tensor) -> WindowOutputs:
        sure = torch.tensor([int(n) not in self.unsure for n in seen[:, 1, 0, 0]])
        return WindowOutputs((seen[:, 0] - 0.5) * 20, torch.where(sure, 8.0, -8.0), None)


def scattered_labels(rng: np.random.Generator, size: tuple[int, int], count: int) -> np.ndarray:
    """A label map of ellipses, some of them touching."""
    labels = np.zeros(size, np.int32)
    y, x = np.mgrid[: size[0], : size[1]]
    for number in range(1, count + 1):
        cy, cx = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        a, b = rng.uniform(5, 14, 2)
        inside = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1
        labels[inside & (labels == 0)] = number
    return labels


def same_partition(found: np.ndarray, truth: np.ndarray, least_iou: float) -> bool:
    """Whether every true object has a found one of at least this IoU, and none is left over."""
    for number in np.unique(truth[truth > 0]):
        own = truth == number
        others = np.unique(found[own])
        ious = [(own & (found == n)).sum() / (own | (found == n)).sum() for n in others if n > 0]
        if not ious or max(ious) < least_iou:
            return False
    return len(np.unique(found[found > 0])) == len(np.unique(truth[truth > 0]))
