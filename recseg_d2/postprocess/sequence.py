"""From an emitted sequence to the masks of one image.

Letters: K objects kept, h w the working resolution, H W the image's own size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from recseg_d2.errors import require
from recseg_d2.structures import InstanceSequence


@dataclass(frozen=True)
class PostprocessOptions:
    """How a sequence becomes masks; the defaults are the papers' plain rule."""

    score_thresh: float = 0.5  # the sequence ends at the first step whose objectness is below this
    mask_thresh: float = 0.5  # a pixel belongs to a mask where its probability is above this
    exclusive: bool = False  # a pixel goes to its most probable mask only (beyond the paper)
    # Probabilities are multiplied by their step's objectness before they are compared with the
    # threshold or with each other, as in the public code of Ren & Zemel.
    weighted: bool = False
    # Probabilities grow at the image's size by a square of so many pixels a side, as in the public
    # code of Ren & Zemel on KITTI (5); odd, 0 is off.
    dilation: int = 0
    # A mask keeps its largest piece only, as in the public RSIS code on Cityscapes; pixels are
    # joined at their sides, of pieces of one size the first stays.
    largest_component: bool = False
    # The boxes of instances: tight around their masks, or the model's own (RSIS' box head, the
    # windows of RIS), which are kept as "regressed_boxes" in any case.
    boxes: Literal["mask", "predicted"] = "mask"
    min_area: float = 0.0  # masks under this share of the image's area are dropped, in [0, 1]

    def __post_init__(self) -> None:
        odd = self.dilation == 0 or (self.dilation > 0 and self.dilation % 2 == 1)
        require(odd, self, "dilation", "0 or an odd number of pixels")


@dataclass
class ImagePrediction:
    """The objects found in one image, in the order of discovery.

    Attributes:
        masks: (K, H, W) bool.
        scores: (K,) float in [0, 1], objectness times the class's probability.
        classes: (K,) int64, the class of each from 0.
        step: (K,) int64, the step that found it, from 0.
        class_scores: (K, C) float in [0, 1], objectness times each class's probability; None where
            the model tells no classes apart.
    """

    masks: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor
    step: torch.Tensor
    class_scores: torch.Tensor | None = None


def sequence_length(score_logits: torch.Tensor, threshold: float) -> int:
    """Steps before the first one whose objectness is below the threshold; (T,) logits."""
    goes_on = ~(score_logits.sigmoid() < threshold)
    return int(goes_on.cumprod(0).sum())


def postprocess(
    sequence: InstanceSequence, image: int, size: tuple[int, int], options: PostprocessOptions
) -> ImagePrediction:
    """Masks of one image of a batch, at the image's own resolution; none is without a pixel.

    Args:
        sequence: what a model predicted for a batch.
        image: index of the image in the batch.
        size: H and W to return masks in.
        options: thresholds, and how masks share pixels.
    """
    length = sequence_length(sequence.score_logits[image], options.score_thresh)
    logits, objectness = sequence.mask_logits[image, :length], sequence.score_logits[image, :length]
    masks = full_size_masks(logits, size, options, objectness)
    if options.largest_component:
        masks = largest_components(masks)
    area = masks.flatten(1).sum(1)
    kept = ((area > 0) & (area >= options.min_area * size[0] * size[1])).nonzero()[:, 0]
    scores = objectness[kept].sigmoid().float()
    if sequence.class_logits is None:
        return ImagePrediction(masks[kept], scores, torch.zeros_like(kept), step=kept)
    class_scores = scores[:, None] * sequence.class_logits[image][kept].softmax(-1).float()
    best = class_scores.max(dim=1)
    return ImagePrediction(masks[kept], best.values, best.indices, kept, class_scores)


def largest_components(masks: torch.Tensor) -> torch.Tensor:
    """The largest connected piece of each of (K, H, W) bool masks."""
    pieces = []
    for mask in masks.cpu().numpy():
        labels, count = ndimage.label(mask)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        pieces.append((labels == sizes[1:].argmax() + 1) if count > 1 else mask)
    return torch.from_numpy(np.array(pieces, dtype=bool).reshape(masks.shape)).to(masks.device)


def full_size_masks(
    logits: torch.Tensor,
    size: tuple[int, int],
    options: PostprocessOptions,
    score_logits: torch.Tensor | None = None,
) -> torch.Tensor:
    """Resize mask logits and threshold there.

    Args:
        logits: (K, h, w), the masks at the working resolution.
        size: H and W, height and width of the image in pixels.
        options: thresholds, and how masks share pixels.
        score_logits: (K,), needed where masks are weighted by objectness.

    Returns:
        (K, H, W) bool.
    """
    if len(logits) == 0:
        return logits.new_zeros(0, *size, dtype=torch.bool)
    logits = logits.float()
    if tuple(logits.shape[1:]) != tuple(size):
        logits = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
    if options.dilation:
        logits = F.max_pool2d(logits, options.dilation, stride=1, padding=options.dilation // 2)
    if options.weighted and score_logits is not None:
        # logarithms keep apart what saturates as a probability
        objectness = F.logsigmoid(score_logits.float())[:, None, None]
        logits = F.logsigmoid(logits) + objectness
        probabilities = logits.exp()
    else:
        probabilities = logits.sigmoid()
    masks = probabilities > options.mask_thresh
    if options.exclusive:
        owner = logits.max(dim=0, keepdim=True).indices  # argmax is ten times as slow on CPUs
        masks &= owner == torch.arange(len(logits), device=logits.device)[:, None, None]
    return masks
