"""From an emitted sequence to the masks of one image.

Letters: K objects kept, h w the working resolution, H W the image's own size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from recseg_d2.structures import InstanceSequence


@dataclass(frozen=True)
class PostprocessOptions:
    """How a sequence becomes masks; the defaults are the papers' plain rule.

    Attributes:
        score_threshold: the sequence ends at the first step whose objectness is below this.
        mask_threshold: a pixel belongs to a mask where its probability is above this.
        exclusive: a pixel goes to the most probable of the masks that claim it (beyond the paper).
        weighted: probabilities are multiplied by their step's objectness before they are compared
            with the threshold or with each other (the public code of Ren & Zemel).
        min_area: masks under this share of the image's area are dropped, in [0, 1]. A mask
            without any pixel is always dropped.
    """

    score_threshold: float = 0.5
    mask_threshold: float = 0.5
    exclusive: bool = False
    weighted: bool = False
    min_area: float = 0.0


@dataclass
class ImagePrediction:
    """The objects found in one image, in the order of discovery.

    Attributes:
        masks: (K, H, W) bool.
        scores: (K,) float in [0, 1], objectness times the class's probability.
        classes: (K,) int64.
        step: (K,) int64, the step that found it, from 0.
    """

    masks: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor
    step: torch.Tensor


def sequence_length(score_logits: torch.Tensor, threshold: float) -> int:
    """Steps before the first one whose objectness is below the threshold; (T,) logits."""
    below = (score_logits.sigmoid() < threshold).nonzero()
    return int(below[0]) if len(below) else len(score_logits)


def postprocess(
    sequence: InstanceSequence, image: int, size: tuple[int, int], options: PostprocessOptions
) -> ImagePrediction:
    """Masks of one image of a batch, at the image's own resolution.

    Args:
        sequence: of a batch.
        image: index in the batch.
        size: H and W to return masks in.
        options: see there.
    """
    length = sequence_length(sequence.score_logits[image], options.score_threshold)
    scores = sequence.score_logits[image, :length].sigmoid().float()
    classes = torch.zeros(length, dtype=torch.int64, device=scores.device)
    if sequence.class_logits is not None:
        best = sequence.class_logits[image, :length].softmax(-1).float().max(-1)
        scores, classes = scores * best.values, best.indices
    logits, objectness = sequence.mask_logits[image, :length], sequence.score_logits[image, :length]
    masks = full_size_masks(logits, size, options, objectness)
    area = masks.flatten(1).sum(1)
    kept = ((area > 0) & (area >= options.min_area * size[0] * size[1])).nonzero()[:, 0]
    return ImagePrediction(masks[kept], scores[kept], classes[kept], step=kept)


def full_size_masks(
    logits: torch.Tensor,
    size: tuple[int, int],
    options: PostprocessOptions,
    score_logits: torch.Tensor | None = None,
) -> torch.Tensor:
    """Resize mask logits and threshold there.

    Args:
        logits: (K, h, w).
        size: H and W.
        options: see there.
        score_logits: (K,), needed where masks are weighted by objectness.

    Returns:
        (K, H, W) bool.
    """
    if len(logits) == 0:
        return logits.new_zeros(0, *size, dtype=torch.bool)
    logits = logits.float()
    if tuple(logits.shape[1:]) != tuple(size):
        logits = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
    if options.weighted and score_logits is not None:
        # logarithms keep apart what saturates as a probability
        objectness = F.logsigmoid(score_logits.float())[:, None, None]
        logits = F.logsigmoid(logits) + objectness
        probabilities = logits.exp()
    else:
        probabilities = logits.sigmoid()
    masks = probabilities > options.mask_threshold
    if options.exclusive:
        owner = logits.argmax(dim=0, keepdim=True)
        masks &= owner == torch.arange(len(logits), device=logits.device)[:, None, None]
    return masks


def instances_to_label_map(masks: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Masks that may overlap as one label map.

    Args:
        masks: (K, H, W) bool.
        scores: (K,) float; where masks overlap, the higher score wins, and of equal ones the first.

    Returns:
        (H, W) int32; k + 1 for a pixel of mask k, 0 for none.
    """
    labels = torch.zeros(masks.shape[1:], dtype=torch.int32, device=masks.device)
    for k in torch.argsort(-scores, stable=True).flip(0).tolist():
        labels[masks[k]] = k + 1
    return labels
