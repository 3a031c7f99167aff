"""InstanceFCN's proposals as Detectron2's ``Instances``.

Letters: P proposals, K instances, H W the size that masks are asked for in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances

from recseg_d2.errors import UserError
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.layers.nms import greedy_nms
from recseg_d2.models.instance_fcn.network import InstanceFCN
from recseg_d2.models.instance_fcn.pasting import paste_masks
from recseg_d2.models.instance_fcn.proposals import ProposalOptions, propose
from recseg_d2.structures import MaskProposals


@dataclass(frozen=True)
class InstanceOptions:
    """Which proposals are taken for instances, by users that want objects and not candidates.

    Attributes:
        score_threshold: least objectness, a probability.
        nms_threshold: a proposal goes where its box overlaps a better one's by more.
        top: most instances.
    """

    score_threshold: float = 0.5
    nms_threshold: float = 0.5
    top: int = 100


def options_from_config(cfg: CfgNode) -> tuple[ProposalOptions, InstanceOptions]:
    """Options of inference from MODEL.INSTANCE_FCN.TEST.

    Raises:
        UserError: a value is out of its range.
    """
    node = cfg.MODEL.INSTANCE_FCN.TEST
    _check(node)
    proposals = ProposalOptions(
        scales=tuple(float(scale) for scale in node.SCALES),
        max_side=node.MAX_SIDE,
        mask_threshold=node.MASK_THRESH,
        nms_threshold=node.NMS_THRESH,
        pre_top=node.PRE_NMS_TOPK,
        top=node.TOPK,
    )
    instances = InstanceOptions(
        node.INSTANCE_SCORE_THRESH, node.INSTANCE_NMS_THRESH, node.INSTANCE_TOPK
    )
    return proposals, instances


def infer(
    network: InstanceFCN,
    image: torch.Tensor,
    size: tuple[int, int],
    options: ProposalOptions,
    instance_options: InstanceOptions,
) -> dict[str, Instances]:
    """What the meta-architecture returns for an image.

    Args:
        network: in evaluation mode.
        image: (3, h, w) normalised.
        size: H and W.
        options: of the proposals.
        instance_options: of the instances.

    Returns:
        "proposals" with ``proposal_boxes``, ``objectness_logits`` (P,) and ``pred_masks``
        (P, H, W) bool, the best first; "instances", the best of them with ``pred_boxes``,
        ``scores`` (K,) in [0, 1], ``pred_classes`` (all 0), ``pred_masks`` and ``step``, the rank.
    """
    found = propose(network, image, size, options)
    proposals = to_proposals(found, options.mask_threshold)
    return {"proposals": proposals, "instances": to_instances(proposals, instance_options)}


def to_proposals(found: MaskProposals, mask_threshold: float) -> Instances:
    """Masks pasted into the image; those that cover no pixel's centre are left out."""
    masks = paste_masks(found.mask_logits, found.windows, found.size, mask_threshold)
    boxes = masks_to_boxes(masks)
    proposals = Instances(
        found.size,
        proposal_boxes=Boxes(boxes),
        objectness_logits=found.objectness,
        pred_masks=masks,
    )
    filled = boxes[:, 2] > boxes[:, 0]
    return proposals if bool(filled.all()) else proposals[filled]


def to_instances(proposals: Instances, options: InstanceOptions) -> Instances:
    """The best proposals as class-agnostic instances, in decreasing order of score."""
    scores = proposals.objectness_logits.sigmoid()
    count = int((scores >= options.score_threshold).sum())  # they come first
    boxes = proposals.proposal_boxes.tensor[:count]
    kept = greedy_nms(boxes, scores[:count], options.nms_threshold, options.top)
    return Instances(
        proposals.image_size,
        pred_masks=proposals.pred_masks[kept],
        pred_boxes=Boxes(boxes[kept]),
        scores=scores[kept],
        pred_classes=torch.zeros_like(kept),
        step=torch.arange(len(kept), device=kept.device),
    )


def _check(node: CfgNode) -> None:
    """Refuse values that cannot work, by their key."""
    ranges: dict[str, tuple[bool, Any]] = {
        "SCALES": (len(node.SCALES) > 0 and min(node.SCALES, default=0) >= 1, "pixels, 1 or more"),
        "MAX_SIDE": (node.MAX_SIDE >= 1, "1 or more"),
        "MASK_THRESH": (0 < node.MASK_THRESH < 1, "a number between 0 and 1"),
        "NMS_THRESH": (0 <= node.NMS_THRESH <= 1, "0 to 1"),
        "PRE_NMS_TOPK": (node.PRE_NMS_TOPK >= 0, "0 (all) or more"),
        "TOPK": (node.TOPK >= 1, "1 or more"),
        "INSTANCE_SCORE_THRESH": (0 <= node.INSTANCE_SCORE_THRESH <= 1, "0 to 1"),
        "INSTANCE_NMS_THRESH": (0 <= node.INSTANCE_NMS_THRESH <= 1, "0 to 1"),
        "INSTANCE_TOPK": (node.INSTANCE_TOPK >= 1, "1 or more"),
    }
    for key, (fits, expected) in ranges.items():
        if not fits:
            raise UserError(f"MODEL.INSTANCE_FCN.TEST.{key} is {node[key]!r}; expected {expected}.")
