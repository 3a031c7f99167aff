"""From a standard dict to what a model eats.

The one mapper of all models: it opens the image, rasterises polygons, RLEs or bit masks, moves
image and masks by the same augmentations, and brings both to the size that the model wants.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode, configurable
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T
from detectron2.structures import BitMasks, Instances
from fvcore.transforms.transform import Transform

from recseg_d2.data.annotations import (
    decode_segmentation,
    label_areas,
    pack_label_planes,
    unpack_label_planes,
)
from recseg_d2.data.augmentations import build_augmentations
from recseg_d2.data.proposals import decode_proposals, move_proposals
from recseg_d2.data.resolution import build_resize, max_instances
from recseg_d2.errors import UserError


class InstanceMapper:
    """Maps a standard dict to ``{"image", "instances", "height", "width", ...}``.

    The result keeps the dict's "file_name", "image_id", "height" and "width" (those of the original
    image) and adds
        image: (3, h, w) uint8 tensor, channels in ``cfg.INPUT.FORMAT``, at the size that
            ``data.resolution`` says.
        instances: ``Instances`` of that size with gt_masks (``BitMasks``), gt_boxes (tight around
            the masks), gt_classes (int64). Crowds and objects that augmentation moved out of the
            frame are left out; of more objects than the model can use, the largest stay.
        proposals: ``Instances`` of that size, where the dict has "proposals"; see
            ``data.proposals``.
    """

    @configurable
    def __init__(
        self,
        *,
        augmentations: list[T.Augmentation],
        image_format: str,
        resize: T.Augmentation,
        num_classes: int,
        max_instances: int | None = None,
        with_annotations: bool = True,
    ):
        """Keep the settings.

        Args:
            augmentations: applied in this order, before the resize.
            image_format: "RGB" or "BGR".
            resize: applied last.
            num_classes: category ids must be under it.
            max_instances: the most objects to keep; None keeps all.
            with_annotations: whether to produce "instances".
        """
        self.augmentations = T.AugmentationList([*augmentations, resize])
        self.image_format = image_format
        self.num_classes = num_classes
        self.max_instances = max_instances
        self.with_annotations = with_annotations

    @classmethod
    def from_config(
        cls, cfg: CfgNode, is_train: bool = True, with_annotations: bool = True
    ) -> dict[str, Any]:
        """Augmentations are for training only; annotations also serve the validation loss."""
        return {
            "augmentations": build_augmentations(cfg) if is_train else [],
            "image_format": cfg.INPUT.FORMAT,
            "resize": build_resize(cfg, is_train),
            "num_classes": cfg.MODEL.RECURRENT.NUM_CLASSES,
            "max_instances": max_instances(cfg),
            "with_annotations": with_annotations,
        }

    def __call__(self, dataset_dict: dict[str, Any]) -> dict[str, Any]:
        """Map one dict, which stays as it is.

        Raises:
            UserError: the image cannot be read, has another size than its dict says, or an
                annotation has no usable mask or a class out of range.
        """
        result = {k: v for k, v in dataset_dict.items() if k not in ("annotations", "proposals")}
        image = self._read(dataset_dict)
        result.setdefault("height", image.shape[0])
        result.setdefault("width", image.shape[1])
        aug_input = T.AugInput(image)
        transforms = self.augmentations(aug_input)
        moved = np.ascontiguousarray(aug_input.image.transpose(2, 0, 1))
        result["image"] = torch.from_numpy(moved)
        if self.with_annotations:
            result["instances"] = self._instances(
                dataset_dict, image.shape[:2], transforms, moved.shape[1:]
            )
        if "proposals" in dataset_dict:
            found = decode_proposals(
                dataset_dict["proposals"], image.shape[:2], dataset_dict["file_name"]
            )
            result["proposals"] = move_proposals(found, transforms, moved.shape[1:])
        return result

    def _read(self, dataset_dict: dict[str, Any]) -> np.ndarray:
        """The image, (H, W, 3) uint8."""
        name = dataset_dict["file_name"]
        try:
            image = utils.read_image(name, format=self.image_format)
        except (OSError, SyntaxError) as error:  # PIL raises either on broken files
            raise UserError(
                f"{name}: cannot be read as an image ({error}); copy or export it again."
            ) from error
        expected = (dataset_dict.get("height"), dataset_dict.get("width"))
        if any(e not in (None, f) for e, f in zip(expected, image.shape, strict=False)):
            raise UserError(
                f"{name}: found an image of {image.shape[1]}x{image.shape[0]} pixels, expected the "
                f"{expected[1]}x{expected[0]} of its annotation; annotate it at its own size."
            )
        return np.require(image, requirements="W")  # fvcore's flips warn of read-only arrays

    def _instances(
        self,
        dataset_dict: dict[str, Any],
        shape: tuple[int, int],
        transforms: Transform,
        moved_shape: tuple[int, int],
    ) -> Instances:
        """The objects of an image of ``shape`` after the transforms, which make ``moved_shape``."""
        name = dataset_dict["file_name"]
        kept = [a for a in dataset_dict.get("annotations", []) if not a.get("iscrowd", 0)]
        classes = np.array([self._category(a, name) for a in kept], dtype=np.int64)
        masks = np.zeros((len(kept), *shape), np.uint8)
        for n, annotation in enumerate(kept):
            masks[n] = decode_segmentation(annotation.get("segmentation"), shape, name)
        planes, plane, value = pack_label_planes(masks)
        moved = np.zeros((len(planes), *moved_shape), np.uint8)
        for p, labels in enumerate(planes):
            moved[p] = transforms.apply_segmentation(labels)
        chosen = self._choose(label_areas(moved, plane, value))
        instances = Instances(moved_shape)
        visible = unpack_label_planes(moved, plane[chosen], value[chosen])
        instances.gt_masks = BitMasks(torch.from_numpy(visible))
        instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
        instances.gt_classes = torch.from_numpy(classes[chosen])
        return instances

    def _category(self, annotation: dict[str, Any], name: str) -> int:
        category = annotation["category_id"]
        if not 0 <= category < self.num_classes:
            raise UserError(
                f"{name}: found category_id {category}, expected 0 to {self.num_classes - 1}; set "
                "MODEL.RECURRENT.NUM_CLASSES to the data set's number of classes."
            )
        return category

    def _choose(self, areas: np.ndarray) -> np.ndarray:
        """Indices, in order, of the objects to keep: visible ones, the largest if too many."""
        chosen = np.flatnonzero(areas)
        if self.max_instances is None or len(chosen) <= self.max_instances:
            return chosen
        largest = chosen[np.argsort(-areas[chosen], kind="stable")[: self.max_instances]]
        return np.sort(largest)
