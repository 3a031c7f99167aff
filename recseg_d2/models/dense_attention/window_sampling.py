"""Windows to train on: around true objects, and at the maxima of the model's own heat map.

They are drawn on the host; the networks' part of it comes there in one transfer a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F

from recseg_d2.models.dense_attention.batch import TargetBatch
from recseg_d2.models.dense_attention.canvas_sampling import Canvas
from recseg_d2.models.dense_attention.heat import heat_peaks
from recseg_d2.models.dense_attention.windows import boxes_around, place_of

NOTHING = -1
_CORE = 0.55  # places of true windows are drawn where the depth is above this
_LEAST_HEAT = 0.03  # of a maximum to train on
_MIN_BOX = 2.0  # pixels


@dataclass
class WindowSample:
    """K windows of the images of a batch.

    Attributes:
        images: (K,) int64, the index of each window's image.
        places: (K, 2) float32, x and y looked at.
        boxes: (K, 4) float32, x1 y1 x2 y2 that windows are made around, in pixels.
        objects: (K,) int64, the object to be found there, or NOTHING.
    """

    images: np.ndarray
    places: np.ndarray
    boxes: np.ndarray
    objects: np.ndarray

    def __len__(self) -> int:
        return len(self.objects)


def join(samples: Sequence[WindowSample]) -> WindowSample:
    """All windows of some samples, in their order."""
    names = [f.name for f in fields(WindowSample)]
    return WindowSample(**{n: np.concatenate([getattr(s, n) for s in samples]) for n in names})


def true_windows(
    rng: np.random.Generator,
    batch: TargetBatch,
    image: int,
    canvas: Canvas,
    most: int,
    jitter: float,
) -> WindowSample:
    """Windows of one image around objects that are not on the canvas, their boxes jittered.

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
    return WindowSample(np.full(len(chosen), image), places, boxes, chosen.astype(np.int64))


def own_windows(
    heat: torch.Tensor,
    distances: torch.Tensor,
    batch: TargetBatch,
    canvases: Sequence[Canvas],
    most: int,
) -> list[WindowSample]:
    """Windows of each image at the highest maxima of the model's heat map.

    The object to be found is the one at the place, if it is not on the canvas; places in objects
    of which that is unclear, and ignored places, are left out.

    Args:
        heat: (B, h, w) probabilities.
        distances: (B, 4, h, w), the box field.
        batch: the targets of the images.
        canvases: what is drawn on each image's canvas.
        most: number of windows of an image, where there are as many maxima.
    """
    known = heat * batch.known
    values, index = (known * heat_peaks(heat, _LEAST_HEAT)).flatten(1).topk(most)
    # an image has a window whatever is in it: the last place, where there is no maximum to take
    index = torch.cat([index, known.flatten(1).argmax(1, keepdim=True)], dim=1)
    places = place_of(index // heat.shape[2], index % heat.shape[2])
    far = distances.flatten(2).gather(2, index[:, None].expand(-1, 4, -1))
    labels = batch.cell_labels.flatten(1).gather(1, index)
    # whole numbers in float32 are exact far beyond the number of objects
    numbers = [labels[..., None].float(), F.pad(values, (0, 1))[..., None]]
    numbers += [places, boxes_around(places, far.transpose(1, 2))]
    found = torch.cat(numbers, dim=2).cpu().numpy()
    return [_own_windows(i, canvas, found[i]) for i, canvas in enumerate(canvases)]


def _own_windows(image: int, canvas: Canvas, found: np.ndarray) -> WindowSample:
    """The windows of an image.

    Args:
        image: its index in the batch.
        canvas: its canvas.
        found: (N, 8) float32, a row for each place, the last of which is for want of others: the
            label and the heat there, 0 where there is no maximum, x and y, and the box.
    """
    objects = np.maximum(found[:, 0].astype(np.int64) - 1, NOTHING)
    unclear = np.append(canvas.unclear, False)  # the last one is that of NOTHING, as in ``done``
    kept = np.flatnonzero((found[:, 1] > 0) & ~unclear[objects])
    kept = kept if len(kept) else np.array([len(found) - 1])
    done = np.append(canvas.done, True)
    return WindowSample(
        images=np.full(len(kept), image),
        places=found[kept, 2:4],
        boxes=found[kept, 4:],
        objects=np.where(done[objects[kept]], NOTHING, objects[kept]),
    )
