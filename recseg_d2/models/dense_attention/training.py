"""One training step of the dense attention model, without back-propagation through time.

Instead of unrolling the search, states that it may pass through are made up: canvases with random
subsets of the true objects drawn imperfectly, and canvases with the model's own masks. Three an
image share one pass of the trunk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from recseg_d2.losses.ignored import NEVER
from recseg_d2.models.dense_attention import losses
from recseg_d2.models.dense_attention.batch import TargetBatch, object_table
from recseg_d2.models.dense_attention.canvas import canvas_channels
from recseg_d2.models.dense_attention.canvas_sampling import (
    Canvas,
    iou_with_object,
    random_canvas,
)
from recseg_d2.models.dense_attention.model import DenseAttention, Encoding
from recseg_d2.models.dense_attention.options import LossWeights, SamplingOptions
from recseg_d2.models.dense_attention.targets import UNKNOWN
from recseg_d2.models.dense_attention.window_network import WindowOutputs
from recseg_d2.models.dense_attention.window_reading import read_windows
from recseg_d2.models.dense_attention.window_sampling import (
    NOTHING,
    WindowSample,
    join,
    own_windows,
    true_windows,
)
from recseg_d2.models.dense_attention.windows import Windows, write_window

_DONE_IOU, _OPEN_IOU = 0.5, 0.3  # an own mask is the object from the first, is not under the second


@dataclass
class StepLosses:
    """The losses of a training step, and how well its windows fit.

    Attributes:
        terms: weighted losses by name.
        iou: (B,) float, for each image the mean IoU of the windows that hold an object; NaN without
            any.
    """

    terms: dict[str, torch.Tensor]
    iou: torch.Tensor


@dataclass
class _Looks:
    """All looks at a batch: those around true objects first, image by image.

    ``sample`` and ``windows`` are on the host, the rest where the network is.
    """

    sample: WindowSample
    around_objects: int
    windows: Windows
    images: torch.Tensor
    objects: torch.Tensor
    outputs: WindowOutputs
    truth: torch.Tensor
    iou: torch.Tensor


def training_step(
    model: DenseAttention,
    images: torch.Tensor,
    batch: TargetBatch,
    weights: LossWeights,
    options: SamplingOptions,
    rng: np.random.Generator,
) -> StepLosses:
    """Losses of a batch.

    Args:
        model: a DenseAttention in training mode.
        images: (B, channels, H, W), the normalised images.
        batch: the targets of the images.
        weights: factor of each term of the loss.
        options: what is sampled.
        rng: the generator that canvases and windows are drawn with.
    """
    encoding = model.encode(images)
    auxiliary = model.auxiliary(encoding.fine).float()
    first = [random_canvas(rng, o, options.merged) for o in batch.objects]
    second = [random_canvas(rng, o, options.merged) for o in batch.objects]
    heat, heat_term = _heat(model, encoding, batch, first)
    looks = _look(model, encoding, batch, heat, first, second, options, rng)
    third = _with_own_masks(rng, batch, looks, second, options.own_masks)
    _, last_heat_term = _heat(model, encoding, batch, third)
    terms = {
        "loss_foreground": weights.foreground * losses.foreground_loss(auxiliary[:, 0], batch),
        "loss_direction": weights.direction * losses.direction_loss(auxiliary[:, 1:], batch),
        "loss_box": weights.box * losses.box_loss(encoding.boxes, batch),
        "loss_heat": weights.heat * (heat_term + last_heat_term) / 2,
        **_window_terms(looks, batch, weights),
    }
    return StepLosses(terms, _iou_of_images(looks, len(images)))


def _iou_of_images(looks: _Looks, count: int) -> torch.Tensor:
    """``StepLosses.iou``, which nobody waits for here."""
    own = torch.arange(count, device=looks.images.device)[:, None] == looks.images
    own = own & (looks.objects != NOTHING)
    return torch.where(own, looks.iou, 0).sum(dim=1) / own.sum(dim=1)


def _channels(canvases: list[Canvas], device: torch.device) -> torch.Tensor:
    labels = torch.from_numpy(np.stack([canvas.labels for canvas in canvases]))
    return canvas_channels(labels.to(device))


def _heat(
    model: DenseAttention, encoding: Encoding, batch: TargetBatch, canvases: list[Canvas]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Heat probabilities (B, h, w), detached, and the heat term for one canvas an image."""
    device = encoding.fine.device
    logits = model.heat(encoding.heat, _channels(canvases, device))
    done = object_table([c.done for c in canvases], 1.0, device)
    unclear = object_table([c.unclear for c in canvases], 0.0, device)
    return logits.detach().sigmoid(), losses.heat_loss(logits, batch, done, unclear)


def _look(
    model: DenseAttention,
    encoding: Encoding,
    batch: TargetBatch,
    heat: torch.Tensor,
    first: list[Canvas],
    second: list[Canvas],
    options: SamplingOptions,
    rng: np.random.Generator,
) -> _Looks:
    """Look at the second canvases around true objects, at the first where the heat is highest."""
    count, device = len(batch.objects), heat.device
    most, jitter = options.true_windows, options.box_jitter
    true = [true_windows(rng, batch, i, second[i], most, jitter) for i in range(count)]
    own = own_windows(heat, encoding.boxes.detach(), batch, first, options.own_windows)
    sample, around_objects = join([*true, *own]), sum(len(s) for s in true)
    owners, canvases = sample.images.tolist(), sample.images.copy()
    canvases[around_objects:] += count
    images, objects, places, boxes = (
        torch.from_numpy(x) for x in (sample.images, sample.objects, sample.places, sample.boxes)
    )
    on_host = model.windows_at(places, boxes)
    windows, images, objects = on_host.to(device), images.to(device), objects.to(device)
    channels = _channels([*second, *first], device)
    seen = model.look(encoding, channels, windows, owners, canvases.tolist())
    hidden = None
    if any((o.labels == UNKNOWN).any() for o in batch.objects):  # seldom, and costs a reading
        hidden = _unknown_cells(batch, windows, owners, model.options.cells)
    outputs = model.segment(seen)
    if hidden is not None:
        outputs = replace(outputs, masks=outputs.masks.masked_fill(hidden, NEVER))
    truth = _true_masks(batch, windows, images, objects, model.options.cells)
    iou = losses.hard_iou(outputs.masks.detach().sigmoid(), truth)
    return _Looks(sample, around_objects, on_host, images, objects, outputs, truth, iou)


def _true_masks(
    batch: TargetBatch, windows: Windows, images: torch.Tensor, objects: torch.Tensor, cells: int
) -> torch.Tensor:
    """(K, G, G) shares of the windows' cells that the object covers; zeros for NOTHING."""
    masks = batch.labels[images] == objects[:, None, None] + 1
    masks = masks & (objects != NOTHING)[:, None, None]
    return read_windows(masks.float()[:, None], windows.squares, cells, 1, windows.sides)[:, 0]


def _unknown_cells(
    batch: TargetBatch, windows: Windows, owners: list[int], cells: int
) -> torch.Tensor:
    """(K, G, G) bool, the windows' cells that see any unknown pixel."""
    unknown = (batch.labels == UNKNOWN).float()[:, None]
    return read_windows(unknown, windows.squares, cells, 1, windows.sides, owners)[:, 0] > 0


def _window_terms(
    looks: _Looks, batch: TargetBatch, weights: LossWeights
) -> dict[str, torch.Tensor]:
    real = looks.objects != NOTHING
    count = real.sum().clamp(min=1)
    masks = losses.mask_loss(looks.outputs.masks, looks.truth)
    target = losses.score_target(looks.iou) * real
    score = torch.nn.functional.binary_cross_entropy_with_logits(looks.outputs.scores, target)
    terms = {
        "loss_mask": weights.mask * (masks * real).sum() / count,
        "loss_score": weights.score * score,
    }
    if looks.outputs.classes is not None:
        truth = batch.classes[looks.images, looks.objects + 1]
        entropy = torch.nn.functional.cross_entropy(looks.outputs.classes, truth, reduction="none")
        terms["loss_class"] = weights.cls * (entropy * real).sum() / count
    return terms


def _with_own_masks(
    rng: np.random.Generator,
    batch: TargetBatch,
    looks: _Looks,
    canvases: list[Canvas],
    probability: float,
) -> list[Canvas]:
    """The second canvases with masks that were just predicted on them drawn in.

    An object counts as done by the mask's IoU with it, whatever else covers it.
    """
    drawn = [Canvas(c.labels.copy(), c.done.copy(), c.unclear.copy()) for c in canvases]
    masks = looks.outputs.masks.detach().sigmoid().cpu()
    sample = looks.sample
    squares = looks.windows.squares.long().tolist()
    for row in range(looks.around_objects):
        if rng.random() < probability:
            image, k = int(sample.images[row]), int(sample.objects[row])
            _draw(drawn[image], batch, image, k, masks[row], squares[row])
    return drawn


def _draw(
    canvas: Canvas,
    batch: TargetBatch,
    image: int,
    k: int,
    mask: torch.Tensor,
    square: list[int],
) -> None:
    """Draw the mask (G, G) predicted for object k, and note whether it is done, in place."""
    height, width = canvas.labels.shape
    written = write_window(mask, square, (height, width))
    if written is None:
        return
    rows, columns, values = written
    part, inside = (rows, columns), values.numpy() > 0.5
    canvas.labels[part][inside] = k + 1
    iou = iou_with_object(inside, batch.objects[image], k, part)
    canvas.done[k] = iou >= _DONE_IOU
    canvas.unclear[k] = _OPEN_IOU <= iou < _DONE_IOU
