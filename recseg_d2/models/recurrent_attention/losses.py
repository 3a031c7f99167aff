"""The terms of the recurrent attention loss.

Letters as in ``recseg_d2.structures``. Source: Ren & Zemel 2017, section 2.5, eq. 22 to 27.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from recseg_d2.losses.ignored import NEVER


def matching_iou_loss(
    iou: torch.Tensor, assignment: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """Eq. 23, 24 and 26 plus 1, so that 0 is perfect: 1 - (sum of matched IoU) / n, image by image.

    An object without a match counts as an IoU of 0. Images without objects count as perfect, with
    no gradient; the result is the mean over all images.

    Args:
        iou: (B, T, N) in [0, 1], soft IoU of each step's mask with each true one.
        assignment: (B, T) int64 from ``layers.matching.assign``, the object of each step.
        counts: (B,) int64, number of objects n of each image.
    """
    matched = iou.gather(2, assignment.clamp(min=0)[..., None])[..., 0]
    total = (matched * (assignment >= 0)).sum(dim=1)
    return ((counts - total) / counts.clamp(min=1)).mean()


def monotonic_score_loss(
    score_logits: torch.Tensor, found: torch.Tensor, lengths: torch.Tensor | None = None
) -> torch.Tensor:
    """Eq. 27: scores are to fall along the sequence.

    A step that found an object pays the cross entropy, to 1, of the lowest score up to it; a step
    that found none that of the highest score from it on, to 0. The sigmoid is monotonic, so that
    running minimum and maximum are taken of the logits, where nothing saturates.

    Args:
        score_logits: (B, T), logit of the score of each step.
        found: (B, T) bool, s* of the paper: whether the step is assigned to an object.
        lengths: (B,) int64, 1 or more: how many of its first steps count for an image; None is
            all, as in the paper.

    Returns:
        The mean over images of the mean over the steps that count.
    """
    steps = score_logits.shape[1]
    if lengths is None:
        lengths = torch.full_like(score_logits[:, 0], steps, dtype=torch.int64)
    lengths = lengths.clamp(max=steps)
    counts = torch.arange(steps, device=lengths.device) < lengths[:, None]
    score_logits = score_logits.masked_fill(~counts, NEVER)
    lowest = score_logits.cummin(dim=1).values
    highest = score_logits.flip(1).cummax(dim=1).values.flip(1)
    entropy = torch.where(found, F.softplus(-lowest), F.softplus(highest))
    return ((entropy * counts).sum(dim=1) / lengths).mean()
