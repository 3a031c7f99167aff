"""From a sequence and its targets to a dict of losses.

Shape letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

import torch
from torch import nn

from recseg_d2.layers.matching import assign, gather_objects, soft_iou_matrix
from recseg_d2.losses.terms import class_loss
from recseg_d2.models.convlstm import losses as terms
from recseg_d2.models.convlstm.options import LossWeights
from recseg_d2.structures import InstanceSequence, InstanceTargets


class SequenceCriterion(nn.Module):
    """Matches a sequence with its targets by soft IoU, then sums up the paper's four terms.

    Args:
        weights: factor of each term of the loss.
        in_order: step t answers for object t, instead of a matching.
    """

    def __init__(self, weights: LossWeights, in_order: bool = False) -> None:
        super().__init__()
        self.in_order = in_order
        self.weights = weights

    def forward(
        self, sequence: InstanceSequence, targets: InstanceTargets
    ) -> dict[str, torch.Tensor]:
        """Weighted terms, ready to be summed.

        Args:
            sequence: what a model predicted for a batch.
            targets: the true objects of the same images.

        Returns:
            ``loss_mask``, ``loss_box``, ``loss_class``, ``loss_stop``: scalars; those whose weight
            is 0, or whose head the model lacks, are absent.
        """
        weights = self.weights
        iou = soft_iou_matrix(sequence.mask_logits.sigmoid(), targets.masks)
        assignment = assign(iou, targets.counts, self.in_order)
        matched = assignment >= 0
        losses = {}
        if weights.mask:
            losses["loss_mask"] = weights.mask * terms.mask_loss(iou, assignment)
        if weights.box and sequence.boxes is not None:
            boxes = gather_objects(targets.boxes, assignment)
            losses["loss_box"] = weights.box * terms.box_loss(sequence.boxes, boxes, matched)
        if weights.cls and sequence.class_logits is not None:
            classes = gather_objects(targets.classes, assignment)
            entropy = class_loss(sequence.class_logits, classes, matched)
            losses["loss_class"] = weights.cls * entropy
        if weights.stop:
            stop = terms.stop_loss(sequence.score_logits, targets.counts, weights.stop_slot)
            losses["loss_stop"] = weights.stop * stop
        return losses
