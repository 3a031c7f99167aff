"""InstanceFCNProposal: InstanceFCN as a Detectron2 meta-architecture.

Source: Dai et al. 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, Backbone, build_backbone
from detectron2.structures import Instances
from torch import nn

from recseg_d2.backbones.single import accept_imagenet_names
from recseg_d2.errors import UserError
from recseg_d2.meta_arch.proposal_inference import InstanceOptions, infer, options_from_config
from recseg_d2.meta_arch.sequential import mask_tensor, output_size
from recseg_d2.models.instance_fcn import (
    HeadOptions,
    InstanceFCN,
    TrainingOptions,
    proposal_losses,
)
from recseg_d2.models.instance_fcn.labels import LabelRules
from recseg_d2.models.instance_fcn.proposals import ProposalOptions, pad_to_cells


class SingleFeature(nn.Module):
    """One of a backbone's feature maps.

    Args:
        backbone: any.
        name: of the feature map; empty takes that of the least stride.
    """

    def __init__(self, backbone: Backbone, name: str = "") -> None:
        super().__init__()
        shapes = backbone.output_shape()
        self.name = name or min(shapes, key=lambda key: shapes[key].stride or 1)
        if self.name not in shapes:
            raise UserError(
                f"MODEL.INSTANCE_FCN.FEATURE: found {name!r}, expected one that the backbone has: "
                f"{', '.join(shapes)}."
            )
        self.shape = shapes[self.name]
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, channels, H / stride, W / stride)."""
        return self.backbone(images)[self.name]


@META_ARCH_REGISTRY.register()
class InstanceFCNProposal(nn.Module):
    """Class-agnostic mask proposals of images of any size, the best first.

    Inputs and outputs are Detectron2's: a list of dicts in; in training a dict of losses out,
    otherwise a list of ``{"proposals": Instances, "instances": Instances}``, see
    ``meta_arch.proposal_inference``.

    Args:
        backbone: any with a feature map of the wanted stride.
        feature: name of that feature map; empty takes the finest.
        pixel_mean: subtracted from each channel.
        pixel_std: each channel is divided by.
        head: the branches.
        training_options: windows and losses.
        proposal_options: pyramid, suppression and number of proposals.
        instance_options: which proposals are instances.
    """

    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor

    @configurable
    def __init__(
        self,
        *,
        backbone: Backbone,
        pixel_mean: list[float],
        pixel_std: list[float],
        feature: str = "",
        head: HeadOptions = HeadOptions(),  # noqa: B008  (frozen)
        training_options: TrainingOptions = TrainingOptions(),  # noqa: B008
        proposal_options: ProposalOptions = ProposalOptions(),  # noqa: B008
        instance_options: InstanceOptions = InstanceOptions(),  # noqa: B008
    ) -> None:
        super().__init__()
        single = SingleFeature(backbone, feature)
        shape = single.shape
        with named("MODEL.INSTANCE_FCN"):
            self.network = InstanceFCN(single, shape.channels or 0, shape.stride or 1, head)
            training_options.check(self.network)
        self.training_options = training_options
        self.proposal_options = proposal_options
        self.instance_options = instance_options
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(-1, 1, 1), False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(-1, 1, 1), False)
        accept_imagenet_names(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.INSTANCE_FCN, MODEL.BACKBONE and MODEL.PIXEL_*."""
        node = cfg.MODEL.INSTANCE_FCN
        proposals, instances = options_from_config(cfg)
        with named("MODEL.INSTANCE_FCN"):
            head, training = _head(node), _training(node)
        return {
            "backbone": build_backbone(cfg),
            "feature": node.FEATURE,
            "pixel_mean": list(cfg.MODEL.PIXEL_MEAN),
            "pixel_std": list(cfg.MODEL.PIXEL_STD),
            "head": head,
            "training_options": training,
            "proposal_options": proposals,
            "instance_options": instances,
        }

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.pixel_mean.device

    def forward(self, batched_inputs: list[dict[str, Any]]) -> Any:
        """Losses in training; proposals and instances otherwise.

        Args:
            batched_inputs: Detectron2's dicts: ``image`` (3, h, w) of any size; in training
                ``instances`` with ``gt_masks``; ``height`` and ``width`` ask for a size of masks.
        """
        if self.training:
            return self.losses(batched_inputs)
        return self.inference(batched_inputs)

    def losses(self, batched_inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Loss terms of a batch with ground truth, in training mode or not."""
        images = [
            pad_to_cells(self.normalised(x["image"]), self.network.stride) for x in batched_inputs
        ]
        masks = [
            mask_tensor(x["instances"].to(self.device), x["instances"].image_size)
            for x in batched_inputs
        ]
        return proposal_losses(self.network, images, masks, self.training_options)

    def inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """Proposals of each image, at the size that its dict asks for."""
        return [
            infer(
                self.network,
                self.normalised(x["image"]),
                output_size(x),
                self.proposal_options,
                self.instance_options,
            )
            for x in batched_inputs
        ]

    def normalised(self, image: torch.Tensor) -> torch.Tensor:
        """(3, h, w) in 0..255 -> float of about zero mean, on the model's device."""
        return (image.to(self.device).float() - self.pixel_mean) / self.pixel_std


def _head(node: CfgNode) -> HeadOptions:
    return HeadOptions(
        mask_head=node.MASK_HEAD,
        parts=node.PARTS,
        cells=node.WINDOW,
        width=node.BRANCH_WIDTH,
        mask_side=node.MASK_SIDE,
        score_width=node.SCORE_WIDTH,
    )


def _training(node: CfgNode) -> TrainingOptions:
    rules = LabelRules(
        object_side=node.OBJECT_SIDE,
        positive_shift=node.POSITIVE_SHIFT,
        positive_octaves=node.POSITIVE_OCTAVES,
        negative_shift=node.NEGATIVE_SHIFT,
        negative_octaves=node.NEGATIVE_OCTAVES,
    )
    return TrainingOptions(
        windows=node.NUM_WINDOWS,
        positive_fraction=node.POSITIVE_FRACTION,
        rules=rules,
        soft_targets=node.SOFT_TARGETS,
        crop_size=node.CROP_SIZE,
        mask_weight=node.MASK_WEIGHT,
        objectness_weight=node.OBJECTNESS_WEIGHT,
    )


@contextmanager
def named(node: str) -> Iterator[None]:
    """Inside, a value that the maths refuses becomes a ``UserError`` about the config's node."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{node}: {error}") from error
