"""Where a model looked for each object of a run: it is run again, and asked.

Shape letters: K objects of an image, H W the model's resolution, h w that of its attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from detectron2.structures import Instances

from recseg_d2 import rle
from recseg_d2.analysis.evidence import PredictedObjects
from recseg_d2.engine.predictor import Predictor
from recseg_d2.models.dense_attention.search import SearchResult
from recseg_d2.models.dense_attention.trunk import FINE_STRIDE
from recseg_d2.postprocess import masks_of

SAME_IOU = 0.5  # between a saved mask and that of the same step now; below, other weights made it

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Window:
    """Where the model looked for an object.

    Attributes:
        box: x, y of the corner, width and height of the window, as shares of the image's sides; it
            may reach beyond the image.
        heat: (h, w) float in [0, 1] over the whole image, how much each place drew attention.
        round: objects of the same round share their heat.
    """

    box: Box
    heat: np.ndarray
    round: int


def windows_of(predictor: Predictor, file: str, found: PredictedObjects) -> list[Window] | None:
    """The window of each of the K objects; None where the model tells none, or finds others.

    Args:
        predictor: with the weights that the predictions are of.
        file: path or URI of the image.
        found: the saved predictions of the image.

    Raises:
        UserError: the image cannot be read.
    """
    (output,) = predictor.outputs([file], with_trace=True)
    windows = _by_step(output.get("trace"), output["instances"].to("cpu"))
    if not windows or not _reproduces(output["instances"].to("cpu"), found):
        return None
    return [windows[step] for step in found.steps.tolist()]


def _by_step(trace: Any, instances: Instances) -> dict[int, Window]:
    """The windows of a trace by step; empty where the model has none."""
    if isinstance(trace, SearchResult):
        return _of_search(trace, instances)
    if isinstance(trace, Mapping) and {"glimpses", "box_params", "masks"} <= trace.keys():
        return _of_attention(trace)
    return {}


def _of_search(result: SearchResult, instances: Instances) -> dict[int, Window]:
    """Dense attention: the heat map at the beginning of a round, the windows of its looks."""
    height, width = result.drawing.size
    looks = {look.found: look for look in result.looks}
    drawn = iter(looks[number] for number in range(len(result.objects)))
    windows = {}
    for step, score in zip(instances.step.tolist(), instances.scores.tolist(), strict=True):
        # objects that others covered are no instances, so the next look of this score is its own
        look = next(look for look in drawn if np.float32(look.score) == np.float32(score))
        x, y, side = look.drawn.window
        heat = result.heat[look.round][: -(-height // FINE_STRIDE), : -(-width // FINE_STRIDE)]
        box = (x / width, y / height, side / width, side / height)
        windows[step] = Window(box, heat.float().numpy(), look.round)
    return windows


def _of_attention(trace: Mapping[str, torch.Tensor]) -> dict[int, Window]:
    """Ren & Zemel's model: the last glimpse, and the box that was chosen."""
    height, width = trace["masks"].shape[1:]
    boxes = trace["box_params"].float().cpu().numpy()  # from pixel centre to pixel centre
    heat = trace["glimpses"][:, -1].float().cpu().numpy()
    windows = {}
    for step, (y, x, h, w) in enumerate(boxes + np.array([0.5, 0.5, 1.0, 1.0])):
        box = ((x - w / 2) / width, (y - h / 2) / height, w / width, h / height)
        share = heat[step] / max(float(heat[step].max()), 1e-12)
        windows[step] = Window(tuple(map(float, box)), share, step)  # type: ignore[arg-type]
    return windows


def _reproduces(instances: Instances, found: PredictedObjects) -> bool:
    """Whether each saved object is found again at its step."""
    masks = dict(zip(instances.step.tolist(), masks_of(instances), strict=True))
    for step, saved in zip(found.steps.tolist(), found.masks, strict=True):
        again = masks.get(step)
        if again is None or again.shape != found.size:
            return False
        if rle.overlaps([rle.encode(again)], [saved])[0, 0] < SAME_IOU:
            return False
    return True
