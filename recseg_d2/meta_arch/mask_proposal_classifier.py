"""MaskProposalClassifier: instance segmentation from given mask proposals.

Source: Dai et al. 2016, "Instance-sensitive fully convolutional networks", section 5 and table 4,
whose classifier is the third stage of MNC.

Shape letters: B images of a batch, R proposals of all of them, C classes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, Backbone
from detectron2.structures import Boxes, ImageList, Instances
from torch import nn

from recseg_d2.backbones.single import accept_imagenet_names
from recseg_d2.errors import UserError
from recseg_d2.layers.boxes import box_iou, masks_to_boxes
from recseg_d2.layers.masks import mask_iou, resize_masks
from recseg_d2.layers.region_features import region_features, region_masks
from recseg_d2.meta_arch.proposal_classifier_config import classifier_arguments
from recseg_d2.meta_arch.sequential import mask_tensor, output_size
from recseg_d2.models.mask_proposal_classifier.network import ProposalClassifier
from recseg_d2.models.mask_proposal_classifier.sampling import (
    SamplingOptions,
    label_proposals,
    sample_proposals,
)
from recseg_d2.postprocess.mask_voting import MergeOptions, merge_proposals

OVERLAPS = ("box", "mask")
VALIDATION_SEED = 0  # the validation loss is of the same samples each time
_INSTANCE_FCN_BACKBONE = "network.backbone.backbone."  # names of InstanceFCNProposal's parameters
_REGIONS_AT_A_TIME = 64  # at test; their features take most of the memory


@META_ARCH_REGISTRY.register()
class MaskProposalClassifier(nn.Module):
    """Features of the image once, of each proposal's box from them, masked, and scored.

    Inputs are Detectron2's dicts with "proposals" (see ``data.proposals``) of any resolution, and
    "instances" in training. Outputs are a dict of losses in training and a list of
    ``{"instances": Instances}`` otherwise, masks at the size that each dict asks for.

    Args:
        backbone: its feature map ``feature`` is used.
        feature: name of a feature map.
        classifier: of the proposals.
        region_samples: points of the features a cell and axis of a box's grid.
        sampling: which proposals are trained on.
        add_ground_truth: whether objects' own masks are proposals in training.
        merging: how scored proposals become instances.
        overlap: "box" or "mask", whose IoU ``merging`` goes by.
        pixel_mean: subtracted from each channel.
        pixel_std: each channel is divided by.
    """

    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor

    @configurable
    def __init__(
        self,
        *,
        backbone: Backbone,
        feature: str,
        classifier: ProposalClassifier,
        region_samples: int = 1,
        sampling: SamplingOptions = SamplingOptions(),  # noqa: B008  (frozen)
        add_ground_truth: bool = True,
        merging: MergeOptions = MergeOptions(),  # noqa: B008  (frozen)
        overlap: str = "box",
        pixel_mean: list[float],
        pixel_std: list[float],
    ) -> None:
        super().__init__()
        if overlap not in OVERLAPS:
            raise UserError(
                f"MODEL.PROPOSAL_CLASSIFIER.TEST.OVERLAP is {overlap!r}; expected one of "
                f"{', '.join(OVERLAPS)}."
            )
        self.backbone = backbone
        self.feature = feature
        self.stride = backbone.output_shape()[feature].stride or 1
        self.classifier = classifier
        self.region_samples = region_samples
        self.sampling, self.add_ground_truth = sampling, add_ground_truth
        self.merging, self.overlap = merging, overlap
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(-1, 1, 1), False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(-1, 1, 1), False)
        accept_imagenet_names(self)
        self._register_load_state_dict_pre_hook(_accept_instance_fcn)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.PROPOSAL_CLASSIFIER and MODEL.BACKBONE."""
        return classifier_arguments(cfg)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.pixel_mean.device

    def forward(self, batched_inputs: list[dict[str, Any]]) -> Any:
        """Losses in training; ``[{"instances": Instances}]`` otherwise."""
        if self.training:
            return self.losses(batched_inputs)
        return self.inference(batched_inputs)

    def losses(self, batched_inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Cross entropy of the sampled proposals of a batch with ground truth: their mean.

        In evaluation mode the samples are the same each time.
        """
        generator = None if self.training else torch.Generator().manual_seed(VALIDATION_SEED)
        masks, labels = zip(*(self._samples(x, generator) for x in batched_inputs), strict=True)
        logits = self.class_logits(batched_inputs, list(masks))
        wanted = torch.cat(labels)
        # a batch without any sample still has to reach every parameter
        loss = F.cross_entropy(logits, wanted, reduction="sum") / max(1, len(wanted))
        return {"loss_cls": loss}

    @torch.no_grad()
    def inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """Instances of a batch, each image's at the size that its dict asks for."""
        masks = [self._proposal_masks(x) for x in batched_inputs]
        probabilities = self.class_logits(batched_inputs, masks).float().softmax(dim=1)[:, :-1]
        parts = probabilities.split([len(m) for m in masks])
        return [
            {"instances": self._instances(m, p, output_size(x))}
            for x, m, p in zip(batched_inputs, masks, parts, strict=True)
        ]

    def class_logits(
        self, batched_inputs: list[dict[str, Any]], masks: list[torch.Tensor]
    ) -> torch.Tensor:
        """Scores of proposals.

        Args:
            batched_inputs: of B images, of which only "image" is used.
            masks: an image's proposals each, (R_i, H_i, W_i) bool, of any resolution.

        Returns:
            (R, C + 1) logits, image after image; the last is the background's.
        """
        images = self._images(batched_inputs)
        features = self.backbone(images.tensor)[self.feature]
        of_image = [torch.full((len(m),), i, device=self.device) for i, m in enumerate(masks)]
        boxes, cells = [], []
        for own, size in zip(masks, images.image_sizes, strict=True):
            tight = masks_to_boxes(own)
            cells.append(region_masks(own, tight, self.classifier.side))
            height, width = own.shape[1:]
            scale = [size[1] / max(1, width), size[0] / max(1, height)]
            boxes.append(tight * tight.new_tensor(scale * 2))
        regions = torch.cat(boxes), torch.cat(of_image), torch.cat(cells)
        step = max(1, len(regions[0])) if self.training else _REGIONS_AT_A_TIME
        blocks = zip(*(part.split(step) for part in regions), strict=True)
        return torch.cat([self._score(features, *block) for block in blocks])

    def _score(
        self, features: torch.Tensor, boxes: torch.Tensor, image: torch.Tensor, cells: torch.Tensor
    ) -> torch.Tensor:
        side, samples = self.classifier.side, self.region_samples
        read = region_features(features, boxes, image, self.stride, side, samples)
        scores: torch.Tensor = self.classifier(read, cells)
        return scores

    def _samples(
        self, dict_: dict[str, Any], generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks (K, H, W) bool and labels (K,) of an image's proposals to train on."""
        objects = dict_["instances"].to(self.device)
        masks = self._proposal_masks(dict_)
        size = (masks.shape[1], masks.shape[2])
        truth = resize_masks(mask_tensor(objects, size), size)
        if self.add_ground_truth:
            masks = torch.cat([truth, masks])
        num_classes = self.classifier.num_classes
        iou = mask_iou(masks, truth)
        labels = label_proposals(iou, objects.gt_classes, num_classes, self.sampling)
        chosen = sample_proposals(labels, num_classes, self.sampling, generator)
        return masks[chosen], labels[chosen]

    def _proposal_masks(self, dict_: dict[str, Any]) -> torch.Tensor:
        if "proposals" not in dict_:
            raise UserError(
                f"{dict_.get('file_name', 'An image')}: came without proposals, which "
                "MaskProposalClassifier classifies; training and evaluation bring those of the "
                "files in DATASETS.PROPOSAL_FILES_TRAIN and DATASETS.PROPOSAL_FILES_TEST."
            )
        return dict_["proposals"].pred_masks.to(self.device)

    def _images(self, batched_inputs: list[dict[str, Any]]) -> ImageList:
        """Normalised images, padded to multiples of the coarsest stride."""
        images = [x["image"].to(self.device) for x in batched_inputs]
        images = [(image - self.pixel_mean) / self.pixel_std for image in images]
        strides = [shape.stride or 1 for shape in self.backbone.output_shape().values()]
        return ImageList.from_tensors(images, max(strides))

    def _instances(
        self, masks: torch.Tensor, probabilities: torch.Tensor, size: tuple[int, int]
    ) -> Instances:
        """What the proposals of one image become, at the size that is asked for."""
        masks = resize_masks(masks, size)
        if self.overlap == "mask":
            overlap = mask_iou(masks, masks)
        else:
            boxes = masks_to_boxes(masks)
            overlap = box_iou(boxes, boxes)
        found = merge_proposals(masks, probabilities, overlap, self.merging)
        return Instances(
            size,
            pred_masks=found.masks,
            pred_boxes=Boxes(masks_to_boxes(found.masks)),
            scores=found.scores,
            pred_classes=found.classes,
            step=torch.arange(len(found.scores), device=self.device),  # the rank
        )


def _accept_instance_fcn(state: dict[str, Any], *_: Any) -> None:
    """Before loading: the backbone of an InstanceFCNProposal's checkpoint becomes this model's."""
    for name in [n for n in state if n.startswith(_INSTANCE_FCN_BACKBONE)]:
        state.setdefault("backbone." + name.removeprefix(_INSTANCE_FCN_BACKBONE), state[name])
