"""The default way from a standard dict to what a model takes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from detectron2.config import configurable

from . import detection_utils as utils
from . import transforms as T

__all__ = ["DatasetMapper"]


class DatasetMapper:
    """Reads the image, augments image and objects together, and makes tensors of them."""

    @configurable
    def __init__(
        self,
        is_train: bool,
        *,
        augmentations: Sequence[T.Augmentation | T.Transform],
        image_format: str,
        use_instance_mask: bool = False,
        instance_mask_format: str = "polygon",
        recompute_boxes: bool = False,
    ):
        """Set what to do.

        Args:
            is_train: whether annotations are wanted.
            augmentations: in this order.
            image_format: see ``detection_utils.read_image``.
            use_instance_mask: whether to keep segmentations.
            instance_mask_format: "polygon" or "bitmask".
            recompute_boxes: take boxes from the augmented masks.
        """
        assert use_instance_mask or not recompute_boxes, "recompute_boxes requires instance masks."
        self.is_train = is_train
        self.augmentations = T.AugmentationList(augmentations)
        self.image_format = image_format
        self.use_instance_mask = use_instance_mask
        self.instance_mask_format = instance_mask_format
        self.recompute_boxes = recompute_boxes

    @classmethod
    def from_config(cls, cfg: Any, is_train: bool = True) -> dict[str, Any]:
        return {
            "is_train": is_train,
            "augmentations": utils.build_augmentation(cfg, is_train),
            "image_format": cfg.INPUT.FORMAT,
            "use_instance_mask": cfg.MODEL.MASK_ON,
            "instance_mask_format": cfg.INPUT.MASK_FORMAT,
        }

    def __call__(self, dataset_dict: dict[str, Any]) -> dict[str, Any]:
        """Map one standard dict; it is not changed.

        Returns:
            A copy with "image" (C, H, W) and, in training, "instances" instead of "annotations".
        """
        dataset_dict = copy.deepcopy(dataset_dict)
        image = utils.read_image(dataset_dict["file_name"], format=self.image_format)
        utils.check_image_size(dataset_dict, image)
        aug_input = T.AugInput(image)
        transforms = self.augmentations(aug_input)
        image = np.ascontiguousarray(aug_input.image.transpose(2, 0, 1))
        dataset_dict["image"] = torch.as_tensor(image)
        annotations = dataset_dict.pop("annotations", None)
        if self.is_train and annotations is not None:
            size = aug_input.image.shape[:2]
            dataset_dict["instances"] = self._make_instances(annotations, transforms, size)
        return dataset_dict

    def _make_instances(self, annotations, transforms, image_size):
        objects = [a for a in annotations if not a.get("iscrowd", 0)]
        if not self.use_instance_mask:
            objects = [{k: v for k, v in a.items() if k != "segmentation"} for a in objects]
        objects = [utils.transform_instance_annotations(a, transforms, image_size) for a in objects]
        mask_format = self.instance_mask_format
        instances = utils.annotations_to_instances(objects, image_size, mask_format)
        if self.recompute_boxes and instances.has("gt_masks"):
            instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
        return utils.filter_empty_instances(instances)
