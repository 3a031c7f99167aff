"""Windows to train on: around true objects, and at the maxima of the model's own heat map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recseg_d2.models.dense_attention.batch import TargetBatch
from recseg_d2.models.dense_attention.canvas_sampling import Canvas
from recseg_d2.models.dense_attention.heat import heat_peaks
from recseg_d2.models.dense_attention.model import boxes_at, place_of

NOTHING = -1
_CORE = 0.55  # places of true windows are drawn where the depth is above this
_LEAST_HEAT = 0.03  # of a maximum to train on
_MIN_BOX = 2.0  # pixels


@dataclass
class WindowSample:
    """K windows of one image.

    Attributes:
        places: (K, 2) float, x and y looked at.
        boxes: (K, 4) float, x1 y1 x2 y2 that windows are made around, in pixels.
        objects: (K,) int64, the object to be found there, or NOTHING.
    """

    places: torch.Tensor
    boxes: torch.Tensor
    objects: torch.Tensor


def true_windows(
    rng: np.random.Generator,
    batch: TargetBatch,
    image: int,
    canvas: Canvas,
    most: int,
    jitter: float,
) -> WindowSample:
    """Windows around objects that are not on the canvas, their boxes jittered.

    Args:
        rng: the generator that windows are drawn with.
        batch: the targets of the images.
        image: index of the image in the batch.
        canvas: what is drawn on the image's canvas.
        most: number of windows, where there are as many objects.
        jitter: standard deviation of each edge, as a share of the box's width or height.
    """
    targets = batch.objects[image]
    chosen = rng.permutation(np.flatnonzero(~canvas.done))[:most]
    places, boxes = np.zeros((len(chosen), 2), np.float32), np.zeros((len(chosen), 4), np.float32)
    for row, k in enumerate(chosen):
        part, box = targets.parts[k], targets.boxes[k]
        core = (targets.labels[part] == k + 1) & (targets.depth[part] > _CORE)
        y, x = np.nonzero(core)
        pick = rng.integers(len(y))
        places[row] = x[pick] + box[0] + 0.5, y[pick] + box[1] + 0.5
        size = np.tile(box[2:] - box[:2], 2)
        boxes[row] = box + rng.normal(0, jitter, 4) * size
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + _MIN_BOX)
    device = batch.labels.device
    return WindowSample(
        torch.from_numpy(places).to(device),
        torch.from_numpy(boxes).to(device),
        torch.from_numpy(chosen.astype(np.int64)).to(device),
    )


def own_windows(
    heat: torch.Tensor,
    distances: torch.Tensor,
    batch: TargetBatch,
    image: int,
    canvas: Canvas,
    most: int,
) -> WindowSample:
    """Windows at the highest maxima of the model's heat map.

    The object to be found is the one at the place, if it is not on the canvas; places in objects
    of which that is unclear, and ignored places, are left out.

    Args:
        heat: (h, w) probabilities.
        distances: (4, h, w), the box field.
        batch: the targets of the images.
        image: index of the image in the batch.
        canvas: what is drawn on the image's canvas.
        most: number of windows, where there are as many maxima.
    """
    peaks = heat_peaks(heat, _LEAST_HEAT) & batch.known[image]
    values, index = (heat * peaks).flatten().topk(most)
    index = index[values > 0]
    unclear = torch.from_numpy(np.append(canvas.unclear, False)).to(heat.device)
    index = index[~unclear[batch.cell_labels[image].flatten()[index] - 1]]
    if not len(index):  # a batch has windows, whatever is in it
        index = (heat * batch.known[image]).argmax()[None]
    rows, columns = index // heat.shape[1], index % heat.shape[1]
    objects = (batch.cell_labels[image][rows, columns] - 1).clamp(min=NOTHING)
    done = torch.from_numpy(np.append(canvas.done, True)).to(heat.device)
    objects = torch.where(done[objects], NOTHING, objects)
    return WindowSample(place_of(rows, columns), boxes_at(distances, rows, columns), objects)
