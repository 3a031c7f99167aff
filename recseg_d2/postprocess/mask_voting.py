"""From scored proposals to the instances of an image.

Shape letters: P proposals of an image, C classes, K instances, H W pixels.

Source of mask voting: Dai et al. 2016, "Instance-aware semantic segmentation via multi-task network
cascades" (MNC), section 4.2; its public code merges at IoU 0.5 and cuts the mean at 0.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from recseg_d2.layers.nms import suppress

_VALUES_AT_A_TIME = 2**24  # of float32: 64 MB
_ROUNDING = 1e-6  # a mean that equals the threshold stays, however its sum was rounded


@dataclass(frozen=True)
class MergeOptions:
    """How scored proposals become the instances of an image."""

    # nms: the surviving proposals' own masks; voting: each is averaged with all proposals that
    # overlap it, weighted by their scores of its class.
    merge: Literal["voting", "nms"] = "voting"
    overlap: Literal["box", "mask"] = "box"  # what the IoU of the next two thresholds is of
    nms_thresh: float = 0.3  # IoU with a better proposal of its class above which one is dropped
    merge_thresh: float = 0.5  # least overlap of proposals whose masks are averaged
    mask_thresh: float = 0.4  # a pixel belongs to an averaged mask where the mean is at least this
    score_thresh: float = 0.001  # least probability of a class for a proposal to be a candidate


@dataclass
class MergedInstances:
    """Instances of an image, the best first.

    Attributes:
        masks: (K, H, W) bool.
        scores: (K,) float in [0, 1].
        classes: (K,) int64, the class of each from 0.
        proposal: (K,) int64, index of the proposal that each was made of.
    """

    masks: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor
    proposal: torch.Tensor


def merge_proposals(
    masks: torch.Tensor,
    probabilities: torch.Tensor,
    overlap: torch.Tensor,
    options: MergeOptions,
    max_instances: int,
) -> MergedInstances:
    """Suppress within each class, keep the best of all classes, and make their masks.

    Args:
        masks: (P, H, W) bool, the mask of each proposal.
        probabilities: (P, C) of the classes, background left out.
        overlap: (P, P) IoU of the proposals, of their masks or boxes.
        options: the thresholds, and how masks are made.
        max_instances: most instances to return.
    """
    kept = suppress_by_class(probabilities, overlap, options)
    proposal, classes = kept.nonzero(as_tuple=True)
    scores = probabilities[proposal, classes]
    order = torch.argsort(scores, descending=True, stable=True)[:max_instances]
    proposal, classes, scores = proposal[order], classes[order], scores[order]
    if options.merge == "voting":
        weights = probabilities[:, classes].T * (overlap[proposal] >= options.merge_thresh)
        merged = vote(masks, weights, options.mask_thresh)
    else:
        merged = masks[proposal]
    shown = merged.flatten(1).any(dim=1).nonzero()[:, 0]
    return MergedInstances(merged[shown], scores[shown], classes[shown], proposal[shown])


def suppress_by_class(
    probabilities: torch.Tensor, overlap: torch.Tensor, options: MergeOptions
) -> torch.Tensor:
    """Greedy suppression in all classes at once.

    Of equal scores the first proposal is the better.

    Args:
        probabilities: (P, C) in [0, 1], of each proposal for each class.
        overlap: (P, P) in [0, 1], IoU of each two proposals.
        options: the thresholds of score and of overlap.

    Returns:
        (P, C) bool.
    """
    block = max(1, _VALUES_AT_A_TIME // max(1, overlap.numel()))
    parts = [_suppress(part, overlap, options) for part in probabilities.split(block, dim=1)]
    return torch.cat(parts, dim=1)


def _suppress(
    probabilities: torch.Tensor, overlap: torch.Tensor, options: MergeOptions
) -> torch.Tensor:
    """``suppress_by_class`` for so few classes that their (C, P, P) comparisons fit in memory."""
    scores = probabilities.T  # (C, P)
    candidate = scores >= options.score_thresh
    rank = torch.argsort(torch.argsort(-scores, dim=1, stable=True), dim=1)
    better = rank[:, :, None] < rank[:, None, :]  # (C, P, P): the first than the second
    return suppress(better & (overlap > options.nms_thresh), candidate).T


def vote(masks: torch.Tensor, weights: torch.Tensor, threshold: float) -> torch.Tensor:
    """Weighted means of masks, cut at a threshold.

    Args:
        masks: (P, H, W) bool, the mask of each proposal.
        weights: (K, P), at least 0; each row is normalised to the sum 1. A row of zeros makes an
            empty mask.
        threshold: share of the weight from which a pixel belongs to the result, in (0, 1].

    Returns:
        (K, H, W) bool, where the mean is at least the threshold.
    """
    total = weights.sum(dim=1, keepdim=True)
    shares = torch.where(total > 0, weights / total, 0)
    flat = masks.flatten(1)
    result = masks.new_zeros(len(weights), flat.shape[1])
    block = max(1, _VALUES_AT_A_TIME // max(1, len(masks) + len(weights)))
    with torch.autocast(masks.device.type, enabled=False):
        for first in range(0, flat.shape[1], block):
            pixels = slice(first, first + block)
            mean = shares @ flat[:, pixels].to(shares.dtype)
            result[:, pixels] = mean >= threshold - _ROUNDING
    return result.unflatten(1, masks.shape[1:])
