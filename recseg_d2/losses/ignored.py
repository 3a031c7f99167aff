"""No loss where it is not known what an image shows.

Shape letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import torch

from recseg_d2.structures import InstanceSequence

NEVER = -1e4  # a logit whose probability, and whose cross entropy to 0, are exactly 0 in float32
MOSTLY = 0.5  # share of a mask in ignored pixels, above which it is none of the known objects

Sequence = TypeVar("Sequence", bound=InstanceSequence)


def without_ignored(sequence: Sequence, ignored: torch.Tensor, counts: torch.Tensor) -> Sequence:
    """A sequence that predicts nothing in ignored pixels, so that losses have no gradient there.

    Masks are 0 there, as the targets are. A step after those of the image's objects, whose mask
    lies mostly in ignored pixels, may have found an object that nobody marked: its score is 0, as
    its target is.

    Args:
        sequence: what a model predicted for a batch, in float32.
        ignored: (B, H, W) bool.
        counts: (B,) int64, the number of known objects of each image.

    Returns:
        a copy; of those gradients flow back that are left.
    """
    probabilities = sequence.mask_logits.detach().sigmoid()
    inside = (probabilities * ignored[:, None]).sum((2, 3))
    surplus = torch.arange(sequence.steps, device=counts.device) >= counts[:, None]
    unmarked = surplus & (inside > MOSTLY * probabilities.sum((2, 3)))
    return replace(
        sequence,
        mask_logits=sequence.mask_logits.masked_fill(ignored[:, None], NEVER),
        score_logits=sequence.score_logits.masked_fill(unmarked, NEVER),
    )
