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
from detectron2.modeling import META_ARCH_REGISTRY, Backbone, build_backbone
from detectron2.structures import ImageList, Instances

from recseg_d2.config import add_node, naming_keys, read_options
from recseg_d2.errors import UserError, require
from recseg_d2.layers.boxes import box_iou, masks_to_boxes
from recseg_d2.layers.masks import mask_iou, resize_masks
from recseg_d2.layers.region_features import region_features, region_masks
from recseg_d2.losses.ignored import MOSTLY
from recseg_d2.losses.terms import masked_mean
from recseg_d2.meta_arch.base import (
    MetaArchitecture,
    ignored_pixels,
    make_instances,
    mask_tensor,
    output_size,
)
from recseg_d2.models.mask_proposal_classifier.network import ProposalClassifier
from recseg_d2.models.mask_proposal_classifier.options import ClassifierOptions
from recseg_d2.models.mask_proposal_classifier.sampling import (
    IGNORED,
    label_proposals,
    sample_proposals,
)
from recseg_d2.postprocess.mask_voting import merge_proposals

VALIDATION_SEED = 0  # the validation loss is of the same samples each time
# VGG-16's fully connected layers: Caffe's names of them, and torchvision's.
_CAFFE_LAYERS = (("fc6", "classifier.0"), ("fc7", "classifier.3"))
_REGIONS_AT_A_TIME = 64  # at test; their features take most of the memory


add_node("MODEL.PROPOSAL_CLASSIFIER", ClassifierOptions)


@META_ARCH_REGISTRY.register()
class MaskProposalClassifier(MetaArchitecture):
    """Features of the image once, of each proposal's box from them, masked, and scored.

    Inputs are Detectron2's dicts with "proposals" (see ``data.proposals``) of any resolution, and
    "instances" in training. Outputs are a dict of losses in training and a list of
    ``{"instances": Instances}`` otherwise, masks at the size that each dict asks for.

    Args:
        backbone: any backbone, one of whose feature maps is used.
        options: MODEL.PROPOSAL_CLASSIFIER: the classifier, what it is trained on, and how its
            scores become instances.
        max_instances: most instances that are predicted for an image.
        shared: arguments of ``MetaArchitecture``, passed on.

    Raises:
        UserError: the backbone lacks the wanted feature map.
    """

    score_key = "MODEL.PROPOSAL_CLASSIFIER.TEST.SCORE_THRESH"

    @configurable
    def __init__(
        self, *, backbone: Backbone, options: ClassifierOptions, max_instances: int, **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.options = options
        self.max_instances = max_instances
        shapes = backbone.output_shape()
        coarsest = max(reversed(list(shapes)), key=lambda key: shapes[key].stride or 1)
        self.feature = options.feature or coarsest
        with naming_keys():
            known = self.feature in shapes
            require(known, options, "feature", f"one of {', '.join(shapes)}")
        width, self.stride = shapes[self.feature].channels or 0, shapes[self.feature].stride or 1
        self.backbone = backbone
        self.classifier = ProposalClassifier(width, self.num_classes, options)
        self._register_load_state_dict_pre_hook(_accept_caffe_layers)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.PROPOSAL_CLASSIFIER, MODEL.BACKBONE and TEST."""
        return {
            **cls.shared_arguments(cfg),
            "backbone": build_backbone(cfg),
            "options": read_options(cfg, ClassifierOptions),
            "max_instances": cfg.TEST.DETECTIONS_PER_IMAGE,
        }

    def losses(self, batched_inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Cross entropy of the sampled proposals of a batch with ground truth: their mean.

        In evaluation mode the samples are the same each time.
        """
        generator = None if self.training else torch.Generator().manual_seed(VALIDATION_SEED)
        masks, labels = zip(*(self._samples(x, generator) for x in batched_inputs), strict=True)
        logits = self.class_logits(batched_inputs, list(masks))
        entropy = F.cross_entropy(logits, torch.cat(labels), reduction="none")
        # a batch without any sample still has to reach every parameter
        return {"loss_cls": masked_mean(entropy, torch.ones_like(entropy))}

    @torch.no_grad()
    def inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """Instances of a batch, each image's at the size that its dict asks for."""
        masks = [self._proposal_masks(x) for x in batched_inputs]
        probabilities = self.class_logits(batched_inputs, masks).softmax(dim=1)[:, :-1]
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
            batched_inputs: dicts of B images, of which only "image" is used.
            masks: an image's proposals each, (R_i, H_i, W_i) bool, of any resolution.

        Returns:
            (R, C + 1) logits, image after image; the last is the background's.
        """
        images = self._images(batched_inputs)
        with self.in_precision():
            features = self.backbone(images.tensor)[self.feature].float()
        of_image = [torch.full((len(m),), i, device=self.device) for i, m in enumerate(masks)]
        boxes, cells = [], []
        for own, size in zip(masks, images.image_sizes, strict=True):
            tight = masks_to_boxes(own)
            cells.append(region_masks(own, tight, self.classifier.side))
            height, width = own.shape[1:]
            scale = [size[1] / max(1, width), size[0] / max(1, height)]
            boxes.append(tight * tight.new_tensor(scale * 2))
        regions = torch.cat(boxes), torch.cat(of_image), torch.cat(cells)
        # in training all at once, as gradients keep all features anyway
        step = max(1, len(regions[0])) if self.training else _REGIONS_AT_A_TIME
        blocks = zip(*(part.split(step) for part in regions), strict=True)
        return torch.cat([self._score(features, *block) for block in blocks])

    def _score(
        self, features: torch.Tensor, boxes: torch.Tensor, image: torch.Tensor, cells: torch.Tensor
    ) -> torch.Tensor:
        side, samples = self.classifier.side, self.options.region_samples
        read = region_features(features, boxes, image, self.stride, side, samples)
        with self.in_precision():
            scores: torch.Tensor = self.classifier(read, cells)
        return scores.float()

    def _samples(
        self, dict_: dict[str, Any], generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks (K, H, W) bool and labels (K,) of an image's proposals to train on."""
        objects = dict_["instances"].to(self.device)
        masks = self._proposal_masks(dict_)
        size = (masks.shape[1], masks.shape[2])
        # proposals may be of another resolution than the masks of the objects
        truth = resize_masks(mask_tensor(objects, size), size)
        sampling = self.options.sampling
        if sampling.add_ground_truth:
            masks = torch.cat([truth, masks])
        ignored = ignored_pixels(dict_, size)
        known = masks if ignored is None else masks & ~ignored.to(self.device)
        labels = label_proposals(
            mask_iou(known, truth), objects.gt_classes, self.num_classes, sampling
        )
        unmarked = known.flatten(1).sum(1) < (1 - MOSTLY) * masks.flatten(1).sum(1)
        labels[unmarked & (labels == self.num_classes)] = IGNORED
        chosen = sample_proposals(labels, self.num_classes, sampling, generator)
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
        images = [self.normalised(self.unit_image(x)) for x in batched_inputs]
        strides = [shape.stride or 1 for shape in self.backbone.output_shape().values()]
        return ImageList.from_tensors(images, max(strides))

    def _instances(
        self, masks: torch.Tensor, probabilities: torch.Tensor, size: tuple[int, int]
    ) -> Instances:
        """What the proposals of one image become, at the size that is asked for."""
        masks = resize_masks(masks, size)
        if self.options.test.overlap == "mask":
            overlap = mask_iou(masks, masks)
        else:
            boxes = masks_to_boxes(masks)
            overlap = box_iou(boxes, boxes)
        found = merge_proposals(
            masks, probabilities, overlap, self.options.test, self.max_instances
        )
        return make_instances(found.masks, found.scores, found.classes)


def _accept_caffe_layers(state: dict[str, Any], *_: Any) -> None:
    """Before loading: torchvision's names, since the classifier sees what begins with its own."""
    for caffe, torchvision in _CAFFE_LAYERS:
        for end in (".weight", ".bias", "_w", "_b"):
            if caffe + end in state:
                kind = "weight" if "w" in end else "bias"
                state.setdefault(f"{torchvision}.{kind}", state.pop(caffe + end))
