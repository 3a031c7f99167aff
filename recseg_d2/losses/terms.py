"""Loss terms that several models share.

Shape letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from recseg_d2.losses.batch_parts import whole_batch_count


def masked_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean of (...) values by weights of the same shape; 0 where all weights are 0.

    Where the batch comes in parts, it is the part's share of the mean over the whole batch; see
    ``losses.batch_parts``.
    """
    weights = weights.to(values.dtype)
    return (values * weights).sum() / whole_batch_count(weights.sum()).clamp(min=1e-6)


def class_loss(logits: torch.Tensor, targets: torch.Tensor, matched: torch.Tensor) -> torch.Tensor:
    """Categorical cross entropy over matched pairs.

    Args:
        logits: (B, T, C), scores of C classes at each of T steps.
        targets: (B, T) int64, classes of the matched objects.
        matched: (B, T) bool, whether the step is assigned to an object.
    """
    entropy = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return masked_mean(entropy, matched.flatten())
