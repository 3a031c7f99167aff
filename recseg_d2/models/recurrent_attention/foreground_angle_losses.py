"""The pre-processor's loss.

Shape letters as in ``recseg_d2.structures``. Source: Ren & Zemel 2017, section 2; the terms and
their means are the public code's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from recseg_d2.losses.ignored import NEVER
from recseg_d2.losses.terms import masked_mean
from recseg_d2.models.recurrent_attention.foreground_angle import ForegroundAngleMaps
from recseg_d2.models.recurrent_attention.options import LossWeights
from recseg_d2.models.recurrent_attention.pixel_targets import NO_ANGLE, PixelTargets


def foreground_loss(logits: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each pixel's class, a mean over all pixels.

    Args:
        logits: (B, 1, H, W), object or not; or (B, C + 1, H, W), background and classes.
        foreground: (B, H, W) int64, the true class, from ``PixelTargets``.
    """
    if logits.shape[1] > 1:
        return F.cross_entropy(logits, foreground)
    inside = (foreground > 0).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits[:, 0], inside)


def background_where(ignored: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Logits of ``foreground_loss`` that are sure of background, as the targets are, in places.

    Args:
        ignored: (B, H, W) bool, where the loss and its gradient become 0.
        logits: (B, 1, H, W) or (B, C + 1, H, W).
    """
    blank = logits.masked_fill(ignored[:, None], NEVER)
    if logits.shape[1] == 1:
        return blank
    return torch.cat([logits[:, :1].masked_fill(ignored[:, None], 0), blank[:, 1:]], dim=1)


def angle_loss(logits: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the angle's class, a mean over the objects' pixels; 0 without objects.

    Args:
        logits: (B, 8, H, W), scores of the eight bins of the angle.
        angle: (B, H, W) int64, the true bin, from ``PixelTargets``.
    """
    entropy = F.cross_entropy(logits, angle, ignore_index=NO_ANGLE, reduction="none")
    return masked_mean(entropy, angle != NO_ANGLE)


def foreground_angle_losses(
    maps: ForegroundAngleMaps, targets: PixelTargets, weights: LossWeights
) -> dict[str, torch.Tensor]:
    """``loss_foreground`` and ``loss_angle``, weighted; a term of weight 0 is not computed."""
    losses = {}
    if weights.foreground:
        term = foreground_loss(maps.foreground_logits, targets.foreground)
        losses["loss_foreground"] = weights.foreground * term
    if weights.angle and maps.angle_logits is not None:
        losses["loss_angle"] = weights.angle * angle_loss(maps.angle_logits, targets.angle)
    return losses
