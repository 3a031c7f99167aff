"""The terms of the RSIS loss on one matched sequence.

Shape letters as in ``recseg_d2.structures``; ``matched`` is (B, T) bool, the steps that answer for
an object. Each term is a mean over what it counts, and 0 (with a gradient path) where that is
nothing. Source: Salvador et al. 2017, section 3.3.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from recseg_d2.losses.terms import masked_mean


def mask_loss(iou: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
    """Eq. 3 as a mean: 1 - soft IoU over matched pairs.

    Args:
        iou: (B, T, N) in [0, 1], soft IoUs from ``layers.matching.soft_iou_matrix``.
        assignment: (B, T) int64 from ``layers.matching.assign``, the object of each step.
    """
    matched_iou = iou.gather(2, assignment.clamp(min=0)[..., None])[..., 0]
    return masked_mean(1 - matched_iou, assignment >= 0)


def box_loss(boxes: torch.Tensor, targets: torch.Tensor, matched: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the four normalised coordinates over matched pairs.

    Args:
        boxes: (B, T, 4) in [0, 1], predicted boxes as shares of the image's sides.
        targets: (B, T, 4) in [0, 1], of the matched objects.
        matched: (B, T) bool, whether the step is assigned to an object.
    """
    return masked_mean((boxes - targets).square().mean(-1), matched)


def stop_loss(
    score_logits: torch.Tensor, counts: torch.Tensor, stop_slot_weight: float
) -> torch.Tensor:
    """Binary cross entropy of the objectness against [t <= n].

    Steps after the first one without an object are left out: inference never gets there. An image
    has n steps that go on and a single one that stops, so on long sequences that slot needs a
    weight of its own, or the head learns to go on for ever.

    Args:
        score_logits: (B, T), logit of the score of each step.
        counts: (B,) int64, number of objects n of each image.
        stop_slot_weight: weight of step n + 1, the others' being 1.
    """
    step = torch.arange(score_logits.shape[1], device=score_logits.device)[None]
    target = (step < counts[:, None]).to(score_logits.dtype)
    at_stop = step == counts[:, None]
    weights = target + stop_slot_weight * at_stop.to(target.dtype)
    entropy = F.binary_cross_entropy_with_logits(score_logits, target, reduction="none")
    return masked_mean(entropy, weights)
