"""The loss of InstanceFCN's sampled windows.

Source: Dai et al. 2016, eq. 1, which sums the logistic losses of the windows' objectness and of
their mask pixels. The sums have no normalisation there; here each is a mean, so that neither the
number of windows nor the resolution of masks changes the balance: objectness over all windows of
the batch, masks over all pixels, with a target, of its positive windows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from recseg_d2.losses.terms import masked_mean


def objectness_loss(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Mean logistic loss of windows.

    Args:
        logits: (R,), objectness of each window.
        positive: (R,) bool, which windows hold an object.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, positive.float(), reduction="none")
    return masked_mean(entropy, torch.ones_like(entropy))


def proposal_mask_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean logistic loss of mask pixels; 0, with a gradient path, where no pixel has a target.

    Args:
        logits: (P, s, s) of the positive windows.
        targets: (P, s, s) in [0, 1]; negative where a pixel has no target.
    """
    known = targets >= 0
    entropy = F.binary_cross_entropy_with_logits(logits, targets.clamp(min=0), reduction="none")
    return masked_mean(entropy, known)
