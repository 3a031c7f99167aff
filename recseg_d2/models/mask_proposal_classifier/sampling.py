"""What a classifier of proposals learns from: labels and samples.

Shape letters: P proposals of an image, N its objects, H W its pixels, C classes.
"""

from __future__ import annotations

import torch

from recseg_d2.models.mask_proposal_classifier.options import SamplingOptions

IGNORED = -1  # label of proposals that are neither foreground nor background


def label_proposals(
    iou: torch.Tensor, classes: torch.Tensor, num_classes: int, options: SamplingOptions
) -> torch.Tensor:
    """The class that each proposal should get.

    Args:
        iou: (P, N) with the objects; N may be 0.
        classes: (N,) int64 of the objects, in [0, C).
        num_classes: C, number of classes, which is also the label of the background.
        options: the IoUs of foreground and background.

    Returns:
        (P,) int64: the class of the object that overlaps most, C, or ``IGNORED``.
    """
    if iou.shape[1] == 0:
        best, of_best = iou.new_zeros(len(iou)), classes.new_zeros(len(iou))
    else:
        best, index = iou.max(dim=1)
        of_best = classes[index]
    low, high = options.background_iou
    labels = torch.full_like(of_best, IGNORED)
    labels[(best >= low) & (best < high)] = num_classes
    foreground = best >= options.foreground_iou
    labels[foreground] = of_best[foreground]
    return labels


def sample_proposals(
    labels: torch.Tensor,
    num_classes: int,
    options: SamplingOptions,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Draw proposals to train on.

    Args:
        labels: (P,) int64 from ``label_proposals``.
        num_classes: C, number of classes, which is also the label of the background.
        options: so many of them, foreground first; what foreground lacks, background fills up.
        generator: on the CPU; None takes PyTorch's global one.

    Returns:
        (K,) int64 indices, K <= ``options.num_proposals``.
    """
    foreground = ((labels >= 0) & (labels < num_classes)).nonzero()[:, 0]
    background = (labels == num_classes).nonzero()[:, 0]
    most = round(options.num_proposals * options.foreground_fraction)
    foreground = _draw(foreground, most, generator)
    background = _draw(background, options.num_proposals - len(foreground), generator)
    return torch.cat([foreground, background])


def _draw(indices: torch.Tensor, number: int, generator: torch.Generator | None) -> torch.Tensor:
    order = torch.randperm(len(indices), generator=generator)[:number]
    return indices[order.to(indices.device)]
