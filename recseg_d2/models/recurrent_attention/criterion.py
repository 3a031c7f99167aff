"""The loss of the recurrent attention model.

Source: Ren & Zemel 2017, section 2.5, eq. 21. Letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

import torch
from torch import nn

from recseg_d2.layers.matching import assign, gather_objects, soft_iou_matrix
from recseg_d2.losses.terms import class_loss
from recseg_d2.models.recurrent_attention.box_iou import BoxIoU
from recseg_d2.models.recurrent_attention.losses import matching_iou_loss, monotonic_score_loss
from recseg_d2.models.recurrent_attention.options import LossWeights
from recseg_d2.models.recurrent_attention.steps import AttentionSequence
from recseg_d2.structures import InstanceTargets


class AttentionCriterion(nn.Module):
    """Masks and boxes are matched each by their own IoU; scores follow the masks' matching.

    Args:
        weights: factor of each term of the loss.
        box_iou: how boxes are compared.
        masks: whether the model segments. Where boxes stand for masks there is no mask term, and
            scores follow the boxes' matching.
        in_order: step t answers for object t, instead of a matching.
        all_steps: whether scores of all steps of the batch count, as in the paper; otherwise those
            of one step more than the image has objects, whatever the others need.
    """

    def __init__(
        self,
        weights: LossWeights,
        box_iou: BoxIoU,
        masks: bool = True,
        in_order: bool = False,
        all_steps: bool = True,
    ) -> None:
        super().__init__()
        self.in_order = in_order
        self.all_steps = all_steps
        self.weights = weights
        self.box_iou = box_iou
        self.masks = masks

    def forward(
        self, sequence: AttentionSequence, targets: InstanceTargets
    ) -> dict[str, torch.Tensor]:
        """Weighted terms, ready to be summed.

        Args:
            sequence: what the model predicted for a batch.
            targets: the true objects of the same images.

        Returns:
            ``loss_mask``, ``loss_box``, ``loss_score``, ``loss_class``: scalars; those whose weight
            is 0, or which the model has no part for, are absent.
        """
        losses: dict[str, torch.Tensor] = {}
        matched: torch.Tensor | None = None
        if self.masks:
            iou = soft_iou_matrix(sequence.mask_logits.sigmoid(), targets.masks)
            matched = self._matching_term(losses, "mask", self.weights.mask, iou, targets)
        if sequence.box_logits is not None and self.weights.box:
            iou = self._box_iou(sequence, targets)
            boxes = self._matching_term(losses, "box", self.weights.box, iou, targets)
            matched = boxes if matched is None else matched
        assert matched is not None
        if self.weights.score:
            lengths = None if self.all_steps else targets.counts + 1
            score = monotonic_score_loss(sequence.score_logits, matched >= 0, lengths)
            losses["loss_score"] = self.weights.score * score
        if sequence.class_logits is not None and self.weights.cls:
            classes = gather_objects(targets.classes, matched)
            entropy = class_loss(sequence.class_logits, classes, matched >= 0)
            losses["loss_class"] = self.weights.cls * entropy
        return losses

    def _matching_term(
        self,
        losses: dict[str, torch.Tensor],
        name: str,
        weight: float,
        iou: torch.Tensor,
        targets: InstanceTargets,
    ) -> torch.Tensor:
        """Match, put the term into ``losses`` unless its weight is 0, return the assignment."""
        assignment = assign(iou, targets.counts, self.in_order)
        if weight:
            losses[f"loss_{name}"] = weight * matching_iou_loss(iou, assignment, targets.counts)
        return assignment

    def _box_iou(self, sequence: AttentionSequence, targets: InstanceTargets) -> torch.Tensor:
        assert sequence.box_logits is not None
        assert sequence.boxes is not None
        height, width = targets.masks.shape[2:]
        corners = sequence.boxes * sequence.boxes.new_tensor([width, height, width, height])
        return self.box_iou.matrix(sequence.box_logits, corners, self.box_iou.pad(targets))
