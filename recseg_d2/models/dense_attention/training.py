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
from recseg_d2.models.dense_attention.window_sampling import (
    NOTHING,
    WindowSample,
    own_windows,
    true_windows,
)
from recseg_d2.models.dense_attention.windows import read_windows, write_window

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
class _Windows:
    """All windows of a batch: those around true objects first, image by image."""

    samples: list[WindowSample]
    images: list[int]
    squares: torch.Tensor
    outputs: WindowOutputs
    truth: torch.Tensor
    iou: torch.Tensor

    @property
    def objects(self) -> torch.Tensor:
        return torch.cat([sample.objects for sample in self.samples])


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
    windows = _windows(model, encoding, batch, heat, first, second, options, rng)
    third = _with_own_masks(rng, batch, windows, second, options.own_masks)
    _, last_heat_term = _heat(model, encoding, batch, third)
    terms = {
        "loss_foreground": weights.foreground * losses.foreground_loss(auxiliary[:, 0], batch),
        "loss_direction": weights.direction * losses.direction_loss(auxiliary[:, 1:], batch),
        "loss_box": weights.box * losses.box_loss(encoding.boxes, batch),
        "loss_heat": weights.heat * (heat_term + last_heat_term) / 2,
        **_window_terms(windows, batch, weights),
    }
    return StepLosses(terms, _iou_of_images(windows, len(images)))


def _iou_of_images(windows: _Windows, count: int) -> torch.Tensor:
    """``StepLosses.iou``, which nobody waits for here."""
    image = torch.tensor(windows.images, device=windows.iou.device)
    own = torch.arange(count, device=image.device)[:, None] == image
    own = own & (windows.objects != NOTHING)
    return torch.where(own, windows.iou, 0).sum(dim=1) / own.sum(dim=1)


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


def _windows(
    model: DenseAttention,
    encoding: Encoding,
    batch: TargetBatch,
    heat: torch.Tensor,
    first: list[Canvas],
    second: list[Canvas],
    options: SamplingOptions,
    rng: np.random.Generator,
) -> _Windows:
    """Windows of the second canvases around true objects, of the first at the heat's maxima."""
    count, device = len(batch.objects), heat.device
    samples: list[WindowSample] = []
    for i in range(count):
        samples.append(
            true_windows(rng, batch, i, second[i], options.true_windows, options.box_jitter)
        )
    for i in range(count):
        distances = encoding.boxes[i].detach()
        samples.append(own_windows(heat[i], distances, batch, i, first[i], options.own_windows))
    channels = [_channels(second, device), _channels(first, device)]
    unknown = batch.labels == UNKNOWN
    any_unknown = bool(unknown.any())  # seldom, and costs as much as reading the windows
    seen, truth, hidden, images = [], [], [], []
    for j, sample in enumerate(samples):
        i = j % count
        canvas = channels[j // count][i : i + 1]
        seen.append(model.look(encoding, i, canvas, sample.places, sample.boxes))
        truth.append(_true_masks(model, batch, i, sample))
        if any_unknown:
            hidden.append(_any_in_cells(model, unknown[i], sample))
        images += [i] * len(sample.objects)
    outputs = model.segment(torch.cat(seen))
    if hidden:
        outputs = replace(outputs, masks=outputs.masks.masked_fill(torch.cat(hidden), NEVER))
    true_masks = torch.cat(truth)
    iou = losses.hard_iou(outputs.masks.detach().sigmoid(), true_masks)
    squares = torch.cat([model.windows(sample.boxes) for sample in samples])
    return _Windows(samples, images, squares, outputs, true_masks, iou)


def _true_masks(
    model: DenseAttention, batch: TargetBatch, image: int, sample: WindowSample
) -> torch.Tensor:
    """(K, G, G) shares of the windows' cells that the object covers; zeros for NOTHING."""
    masks = batch.labels[image][None] == sample.objects[:, None, None] + 1
    masks = masks & (sample.objects != NOTHING)[:, None, None]
    windows = model.windows(sample.boxes)
    return read_windows(masks.float()[:, None], windows, model.options.cells)[:, 0]


def _any_in_cells(
    model: DenseAttention, pixels: torch.Tensor, sample: WindowSample
) -> torch.Tensor:
    """(K, G, G) bool, the windows' cells that see any of the pixels (H, W) bool of an image."""
    windows = model.windows(sample.boxes)
    return read_windows(pixels.float()[None, None], windows, model.options.cells)[:, 0] > 0


def _window_terms(
    windows: _Windows, batch: TargetBatch, weights: LossWeights
) -> dict[str, torch.Tensor]:
    real = windows.objects != NOTHING
    count = real.sum().clamp(min=1)
    masks = losses.mask_loss(windows.outputs.masks, windows.truth)
    target = losses.score_target(windows.iou) * real
    score = torch.nn.functional.binary_cross_entropy_with_logits(windows.outputs.scores, target)
    terms = {
        "loss_mask": weights.mask * (masks * real).sum() / count,
        "loss_score": weights.score * score,
    }
    if windows.outputs.classes is not None:
        images = torch.tensor(windows.images, device=real.device)
        truth = batch.classes[images, windows.objects + 1]
        entropy = torch.nn.functional.cross_entropy(
            windows.outputs.classes, truth, reduction="none"
        )
        terms["loss_class"] = weights.cls * (entropy * real).sum() / count
    return terms


def _with_own_masks(
    rng: np.random.Generator,
    batch: TargetBatch,
    windows: _Windows,
    canvases: list[Canvas],
    probability: float,
) -> list[Canvas]:
    """The second canvases with masks that were just predicted on them drawn in.

    An object counts as done by the mask's IoU with it, whatever else covers it.
    """
    drawn = [Canvas(c.labels.copy(), c.done.copy(), c.unclear.copy()) for c in canvases]
    masks = windows.outputs.masks.detach().sigmoid().cpu()
    squares = windows.squares.long().tolist()
    row = 0
    for i, sample in enumerate(windows.samples[: len(canvases)]):
        for k in sample.objects.tolist():
            if rng.random() < probability:
                _draw(drawn[i], batch, i, k, masks[row], squares[row])
            row += 1
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
