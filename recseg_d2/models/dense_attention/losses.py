"""The loss terms of the dense attention model."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from recseg_d2.models.dense_attention.batch import TargetBatch

CORE_SLOPE = 1.5  # the heat's target reaches 1 at this inverse share of the largest depth
_REFERENCE_AREA = 400.0  # pixels of an object whose weight in the heat term is 1
_WEIGHT_RANGE = (0.5, 5.0)
_BOX_DEPTH = 0.4  # boxes are trained where the depth is above this
_LOG_WEIGHT = 0.3  # of the difference of logarithms, in the box term
_MIN_DISTANCE = 0.5  # pixels
_POOR, _GOOD = 0.3, 0.8  # IoU of masks whose score is to be 0, and 1


def foreground_loss(logits: torch.Tensor, batch: TargetBatch) -> torch.Tensor:
    """Binary cross-entropy and dice of the foreground; ignored cells left out.

    Args:
        logits: (B, h, w), one for each cell.
        batch: the targets of the images.
    """
    truth, known = batch.foreground, batch.known.float()
    entropy = F.binary_cross_entropy_with_logits(logits, truth, weight=known, reduction="sum")
    return (
        entropy / known.sum().clamp(min=1)
        + dice_loss(
            (logits.sigmoid() * known).flatten()[None], (truth * known).flatten()[None]
        ).mean()
    )


def direction_loss(logits: torch.Tensor, batch: TargetBatch) -> torch.Tensor:
    """Cross-entropy of the direction to the object's centre, (B, bins, h, w), inside of objects."""
    total = F.cross_entropy(logits, batch.directions, ignore_index=-1, reduction="sum")
    return total / (batch.directions >= 0).sum().clamp(min=1)


def box_loss(distances: torch.Tensor, batch: TargetBatch) -> torch.Tensor:
    """Generalised IoU and difference of logarithms of the box field, at the objects' cores.

    Cells count by the inverse square root of the object's area, so that an object counts by the
    square root of its area.

    Args:
        distances: (B, 4, h, w), to the left, top, right and bottom edges, in pixels.
        batch: the targets of the images.
    """
    image, row, column = torch.nonzero(
        (batch.cell_depth > _BOX_DEPTH) & (batch.cell_labels > 0), as_tuple=True
    )
    if not len(image):
        return distances.sum() * 0
    k = batch.cell_labels[image, row, column]
    boxes, weights = batch.boxes[image, k], batch.areas[image, k].rsqrt()
    x, y = column * 2.0 + 1, row * 2.0 + 1
    truth = torch.stack([x - boxes[:, 0], y - boxes[:, 1], boxes[:, 2] - x, boxes[:, 3] - y], 1)
    truth = truth.clamp(min=_MIN_DISTANCE)
    found = distances[image, :, row, column]
    logs = (found.log() - truth.log()).abs().mean(1)
    terms = 1 - generalised_iou(found, truth) + _LOG_WEIGHT * logs
    return (terms * weights).sum() / weights.sum()


def generalised_iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """GIoU (Rezatofighi et al. 2019) of boxes that share a point.

    Args:
        one: (K, 4) distances from the point to left, top, right, bottom; above 0.
        other: (K, 4) distances from the same points, above 0.
    """
    shared = _area(torch.minimum(one, other))
    union = _area(one) + _area(other) - shared
    hull = _area(torch.maximum(one, other))
    return shared / union - (hull - union) / hull


def _area(distances: torch.Tensor) -> torch.Tensor:
    return (distances[:, 0] + distances[:, 2]) * (distances[:, 1] + distances[:, 3])


def heat_loss(
    logits: torch.Tensor, batch: TargetBatch, done: torch.Tensor, unclear: torch.Tensor
) -> torch.Tensor:
    """Focal binary cross-entropy of the heat map for one canvas an image.

    The target is min(1.5 depth, 1) inside of objects that are not done and 0 elsewhere. Cells count
    by |target - p| (Lin et al. 2017, with soft targets), small objects by up to five times as much;
    the sum is divided by the weighted sum of the targets.

    Args:
        logits: (B, h, w), one for each cell.
        batch: the targets of the images.
        done: (B, N + 1), 1 for objects on the canvas and for the background.
        unclear: (B, N + 1), 1 for objects that may or may not count as done.
    """
    depth = (batch.cell_depth * CORE_SLOPE).clamp(max=1)
    target = depth * (1 - batch.per_cell(done))
    size = (_REFERENCE_AREA / batch.areas).sqrt().clamp(*_WEIGHT_RANGE)
    size[:, 0] = 1
    weight = batch.per_cell(size * (1 - unclear)) * batch.known
    focus = (target - logits.sigmoid()).abs().detach()
    terms = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    total = (target * weight).sum().clamp(min=10.0 * len(logits))
    return (terms * focus * weight).sum() / total


def mask_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(K,) binary cross-entropy plus dice of masks (K, G, G) with soft truth in [0, 1]."""
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean((1, 2))
    return entropy + dice_loss(logits.sigmoid().flatten(1), truth.flatten(1))


def dice_loss(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - dice, (K,), of values (K, P) in [0, 1]; both sums plus 1, so 0 for two empty ones."""
    shared = (found * truth).sum(1)
    return 1 - (2 * shared + 1) / (found.sum(1) + truth.sum(1) + 1)


def hard_iou(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(K,) IoU of values (K, G, G) cut at one half; 0 where both are empty."""
    one, other = found > 0.5, truth > 0.5
    shared = (one & other).sum((1, 2)).float()
    return shared / (one | other).sum((1, 2)).clamp(min=1)


def score_target(iou: torch.Tensor) -> torch.Tensor:
    """The score that a mask of this IoU is to have: 0 up to 0.3, 1 from 0.8 on."""
    return ((iou - _POOR) / (_GOOD - _POOR)).clamp(0, 1)
