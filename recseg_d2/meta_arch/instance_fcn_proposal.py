"""InstanceFCNProposal: InstanceFCN as a Detectron2 meta-architecture.

Source: Dai et al. 2016. Letters: P proposals, K instances, H W the size that masks are wanted in.
"""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, Backbone, build_backbone
from detectron2.structures import Boxes, Instances
from torch import nn

from recseg_d2.config import add_node, naming_keys, read_options
from recseg_d2.errors import require
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.layers.nms import greedy_nms
from recseg_d2.meta_arch.base import (
    MetaArchitecture,
    ignored_pixels,
    make_instances,
    output_size,
)
from recseg_d2.models.instance_fcn.network import InstanceFCN
from recseg_d2.models.instance_fcn.options import InstanceFCNOptions, ProposalOptions
from recseg_d2.models.instance_fcn.pasting import paste_masks
from recseg_d2.models.instance_fcn.proposals import pad_to_cells, propose
from recseg_d2.models.instance_fcn.training import check_crop_size, proposal_losses
from recseg_d2.structures import MaskProposals


class SingleFeature(nn.Module):
    """One of a backbone's feature maps.

    Args:
        backbone: any of Detectron2's or this package's.
        name: name of the feature map that is taken.
    """

    def __init__(self, backbone: Backbone, name: str) -> None:
        super().__init__()
        self.name = name
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) -> (B, width, H / stride, W / stride)."""
        return self.backbone(images)[self.name]


add_node("MODEL.INSTANCE_FCN", InstanceFCNOptions)


@META_ARCH_REGISTRY.register()
class InstanceFCNProposal(MetaArchitecture):
    """Class-agnostic mask proposals of images of any size, the best first.

    Inputs are Detectron2's: a list of dicts. Outputs are a dict of losses in training, and a list
    of dicts otherwise: "proposals" with ``proposal_boxes``, ``objectness_logits`` (P,) and
    ``pred_masks`` (P, H, W) bool; "instances", the best of them, with ``pred_boxes``, ``scores``
    (K,) in [0, 1], ``pred_classes`` (all 0), ``pred_masks`` and ``step``, the rank.

    Args:
        backbone: any backbone that has a feature map of the wanted stride.
        options: MODEL.INSTANCE_FCN: the branches, the training, the proposals and the instances.
        shared: arguments of ``MetaArchitecture``, passed on.

    Raises:
        UserError: the backbone lacks the wanted feature map, or sizes do not fit its stride.
    """

    score_key = "MODEL.INSTANCE_FCN.TEST.INSTANCE_SCORE_THRESH"

    @configurable
    def __init__(self, *, backbone: Backbone, options: InstanceFCNOptions, **shared: Any) -> None:
        super().__init__(**shared)
        self.options = options
        shapes = backbone.output_shape()
        finest = min(shapes, key=lambda key: shapes[key].stride or 1)
        name = options.feature or finest
        with naming_keys():
            require(name in shapes, options, "feature", f"one of {', '.join(shapes)}")
            width, stride = shapes[name].channels or 0, shapes[name].stride or 1
            self.network = InstanceFCN(SingleFeature(backbone, name), width, stride, options.head)
            check_crop_size(self.network, options.sampling)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.INSTANCE_FCN and MODEL.BACKBONE."""
        return {
            **cls.shared_arguments(cfg),
            "backbone": build_backbone(cfg),
            "options": read_options(cfg, InstanceFCNOptions),
        }

    def losses(self, batched_inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Loss terms of a batch with ground truth, in training mode or not."""
        stride = self.network.stride
        images = [pad_to_cells(self.normalised(self.unit_image(x)), stride) for x in batched_inputs]
        masks = [self.true_masks(x).to(self.device) for x in batched_inputs]
        ignored = [
            ignored_pixels(x, m.shape[1:]) for x, m in zip(batched_inputs, masks, strict=True)
        ]
        with self.in_precision():
            return proposal_losses(self.network, images, masks, self.options, ignored)

    def inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """Proposals and instances of each image, at the size that its dict asks for."""
        traced = self.traced_inference(batched_inputs)
        return [{name: o[name] for name in ("proposals", "instances")} for o in traced]

    def traced_inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same, with what figures show of how they came about.

        Returns:
            for each image "proposals", "instances" and "trace": "found", the proposals before they
            were pasted, and "level", the scale of the image that the best window is of.
        """
        return [
            self._infer(self.normalised(self.unit_image(x)), output_size(x)) for x in batched_inputs
        ]

    def _infer(self, image: torch.Tensor, size: tuple[int, int]) -> dict[str, Any]:
        options = self.options.test
        with self.in_precision():
            found, level = propose(self.network, image, size, options)
        proposals = to_proposals(found, options.mask_thresh)
        return {
            "proposals": proposals,
            "instances": to_instances(proposals, options),
            "trace": {"found": found, "level": level},
        }


def to_proposals(found: MaskProposals, mask_threshold: float) -> Instances:
    """Masks pasted into the image; those that cover no pixel's centre are left out."""
    masks = paste_masks(found.mask_logits, found.windows, found.size, mask_threshold)
    boxes, objectness = masks_to_boxes(masks), found.objectness
    filled = boxes[:, 2] > boxes[:, 0]
    if not bool(filled.all()):
        boxes, objectness, masks = boxes[filled], objectness[filled], _moved_up(masks, filled)
    return Instances(
        found.size, proposal_boxes=Boxes(boxes), objectness_logits=objectness, pred_masks=masks
    )


def _moved_up(masks: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The masks (P, H, W) that are kept, (P,) bool, in the memory of all: a copy is as large."""
    rows = kept.nonzero()[:, 0].tolist()
    for to, row in enumerate(rows):
        if to != row:
            masks[to] = masks[row]
    return masks[: len(rows)]


def to_instances(proposals: Instances, options: ProposalOptions) -> Instances:
    """The best proposals as class-agnostic instances, in decreasing order of score."""
    scores = proposals.objectness_logits.sigmoid()
    # proposals are sorted, so the first ones are those above the threshold
    count = int((scores >= options.instance_score_thresh).sum())  # they come first
    boxes = proposals.proposal_boxes.tensor[:count]
    threshold, most = options.instance_nms_thresh, options.instance_topk
    kept = greedy_nms(boxes, scores[:count], threshold, most)
    return make_instances(proposals.pred_masks[kept], scores[kept], torch.zeros_like(kept))
