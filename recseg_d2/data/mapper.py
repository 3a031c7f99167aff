"""From a standard dict to what a model eats.

``InstanceMapper`` is for images whose objects are needed: it opens the image, rasterises polygons,
RLEs or bit masks, moves image and masks by the same augmentations, and brings both to the size that
the model wants. ``TestMapper`` gives the image as ``DefaultPredictor`` would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode, configurable
from detectron2.data import transforms as T
from detectron2.structures import BitMasks, Instances

from recseg_d2.config import read_options
from recseg_d2.config.options import InputOptions
from recseg_d2.data.annotations import (
    IGNORED,
    decode_segmentation,
    ignored_from_dict,
    label_areas,
    pack_label_planes,
    unpack_label_planes,
    wrong_category,
)
from recseg_d2.data.augmentations import build_augmentations
from recseg_d2.data.cache import Cache
from recseg_d2.data.inputs import ImageReader
from recseg_d2.data.proposals import decode_proposals, move_proposals
from recseg_d2.data.resolution import build_resize, max_instances
from recseg_d2.errors import UserError
from recseg_d2.layers.images import scale_array, scale_labels
from recseg_d2.layers.intensity import IntensityOptions, unit_intensity

_READ = ("annotations", "proposals", IGNORED)  # keys of dicts that are not passed on as they are


@dataclass
class Decoded:
    """An image and its N objects before augmentation, ready to be moved.

    Attributes:
        image: (H, W, C) uint8 as stored, or float32 in the range of INPUT.INTENSITY.
        size: height and width of the file's image.
        planes: (P, H, W) uint8 label maps, see ``pack_label_planes``.
        plane: (N,) the label map of each object.
        value: (N,) the label of each object there.
        classes: (N,) int64, the class of each object from 0.
        ignored: (H, W) uint8, 1 where it is not known what the image shows; None is nowhere.
    """

    image: np.ndarray
    size: tuple[int, int]
    planes: np.ndarray
    plane: np.ndarray
    value: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray | None = None

    def nbytes(self) -> int:
        """Memory of the image and the label maps."""
        ignored = 0 if self.ignored is None else self.ignored.nbytes
        return self.image.nbytes + self.planes.nbytes + ignored


class InstanceMapper:
    """Maps a standard dict to ``{"image", "instances", "height", "width", ...}``.

    The result keeps the dict's "file_name", "image_id", "height" and "width" (those of the original
    image) and adds
        image: (C, h, w) tensor, uint8 as stored or float32 in the range of ``cfg.INPUT.INTENSITY``,
            channels in ``cfg.INPUT.FORMAT``, at the size that ``data.resolution`` says.
        prepared: True, where the image's intensities and scale are those that the model works with.
        instances: ``Instances`` of that size with gt_masks (``BitMasks``), gt_boxes (tight around
            the masks), gt_classes (int64). Crowds and objects that augmentation moved out of the
            frame are left out; of more objects than the model can use, the largest stay.
        ignored: (h, w) bool, where it is not known what the image shows; absent if that is nowhere.
        proposals: ``Instances`` of that size, where the dict has "proposals"; see
            ``data.proposals``.
    """

    @configurable
    def __init__(
        self,
        *,
        augmentations: list[T.Augmentation],
        reader: ImageReader,
        intensity: IntensityOptions,
        scale: float,
        resize: T.Augmentation,
        num_classes: int,
        max_instances: int | None = None,
        with_annotations: bool = True,
        cache_mb: int = 0,
    ):
        """Keep the settings.

        Args:
            augmentations: applied in this order, before the resize.
            reader: reads an image file as an array.
            intensity: what becomes of the image's values, INPUT.INTENSITY.
            scale: factor that images are magnified by before anything else.
            resize: the resize to the model's resolution, applied last.
            num_classes: number of classes C; category ids are in [0, C).
            max_instances: the most objects to keep; None keeps all.
            with_annotations: whether to produce "instances".
            cache_mb: memory for decoded images, in MB.
        """
        self.augmentations = T.AugmentationList([*augmentations, resize])
        self.reader, self.intensity, self.scale = reader, intensity, scale
        self.num_classes = num_classes
        self.max_instances = max_instances
        self.with_annotations = with_annotations
        self.cache: Cache[Decoded] = Cache(Decoded.nbytes, cache_mb)

    @classmethod
    def from_config(
        cls, cfg: CfgNode, is_train: bool = True, with_annotations: bool = True
    ) -> dict[str, Any]:
        """Augmentations are for training only; annotations also serve the validation loss."""
        options = read_options(cfg, InputOptions)
        return {
            "augmentations": build_augmentations(cfg) if is_train else [],
            "reader": ImageReader(cfg),
            "intensity": options.intensity,
            "scale": options.scale if options.resize == "scale" else 1.0,
            "resize": build_resize(cfg, is_train),
            "num_classes": cfg.MODEL.NUM_CLASSES,
            "max_instances": max_instances(cfg),
            "with_annotations": with_annotations,
            "cache_mb": options.cache_mb if is_train else 0,
        }

    def __call__(self, dataset_dict: dict[str, Any], key: int | None = None) -> dict[str, Any]:
        """Map one dict, which stays as it is.

        Args:
            dataset_dict: Detectron2's standard dict of an image.
            key: under which what was read is remembered; always the same for the same dict.

        Raises:
            UserError: the image cannot be read, has another size than its dict says, or an
                annotation has no usable mask or a class out of range.
        """
        result = {k: v for k, v in dataset_dict.items() if k not in _READ}
        name = dataset_dict["file_name"]
        if key is None:
            decoded = self._decode(dataset_dict)
        else:
            decoded = self.cache.get(key, lambda: self._decode(dataset_dict))
        result.setdefault("height", decoded.size[0])
        result.setdefault("width", decoded.size[1])
        first = decoded.planes[0] if len(decoded.planes) else None
        aug_input = T.AugInput(decoded.image.copy(), sem_seg=first)
        transforms = self.augmentations(aug_input)
        moved = np.ascontiguousarray(aug_input.image.transpose(2, 0, 1))
        result["image"] = torch.from_numpy(moved)
        result["prepared"] = True
        if self.with_annotations:
            rest = [transforms.apply_segmentation(labels) for labels in decoded.planes[1:]]
            planes = [] if first is None else [aug_input.sem_seg, *rest]
            result["instances"] = self._instances(decoded, planes, moved.shape[1:])
            if decoded.ignored is not None:
                ignored = np.ascontiguousarray(transforms.apply_segmentation(decoded.ignored))
                result[IGNORED] = torch.from_numpy(ignored > 0)
        if "proposals" in dataset_dict:
            found = decode_proposals(dataset_dict["proposals"], decoded.size, name)
            result["proposals"] = move_proposals(found, transforms, moved.shape[1:], self.scale)
        return result

    def _decode(self, dataset_dict: dict[str, Any]) -> Decoded:
        """Read the image and its objects."""
        image = read_checked(self.reader, dataset_dict)
        size, name = (image.shape[0], image.shape[1]), dataset_dict["file_name"]
        kept = [a for a in dataset_dict.get("annotations", []) if not a.get("iscrowd", 0)]
        kept = kept if self.with_annotations else []
        classes = np.array([self._category(a, name) for a in kept], dtype=np.int64)
        masks = (decode_segmentation(a.get("segmentation"), size, name) for a in kept)
        planes, plane, value = pack_label_planes(masks, size)
        ignored = ignored_from_dict(dataset_dict) if self.with_annotations else None
        if self.intensity.kind != "stored":
            image = unit_intensity(image, self.intensity)
        image, planes = scale_array(image, self.scale), scale_labels(planes, self.scale)
        if ignored is not None:
            ignored = scale_labels(ignored[None].astype(np.uint8), self.scale)[0]
        return Decoded(image, size, planes, plane, value, classes, ignored)

    def _instances(
        self, decoded: Decoded, moved: list[np.ndarray], shape: tuple[int, int]
    ) -> Instances:
        """The objects after the transforms, which moved the label maps to ``shape``."""
        planes = np.stack(moved) if moved else np.zeros((0, *shape), np.uint8)
        plane, value = decoded.plane, decoded.value
        chosen = self._choose(label_areas(planes, plane, value))
        instances = Instances(shape)
        visible = unpack_label_planes(planes, plane[chosen], value[chosen])
        instances.gt_masks = BitMasks(torch.from_numpy(visible))
        instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
        instances.gt_classes = torch.from_numpy(decoded.classes[chosen])
        return instances

    def _category(self, annotation: dict[str, Any], name: str) -> int:
        if wrong := wrong_category(annotation["category_id"], self.num_classes):
            raise UserError(
                f"{name}: {wrong} Set MODEL.NUM_CLASSES to the data set's number of classes."
            )
        return annotation["category_id"]

    def _choose(self, areas: np.ndarray) -> np.ndarray:
        """Indices, in order, of the objects to keep: visible ones, the largest if too many."""
        chosen = np.flatnonzero(areas)
        if self.max_instances is None or len(chosen) <= self.max_instances:
            return chosen
        largest = chosen[np.argsort(-areas[chosen], kind="stable")[: self.max_instances]]
        return np.sort(largest)


class TestMapper:
    """Maps a standard dict to what a model gets at test: no annotations, masks at the file's size.

    The result is that of Detectron2's ``DatasetMapper`` at test, for images of any depth and number
    of channels that the config asks for, and with "proposals" as ``Instances``.

    Args:
        cfg: config of the run.
    """

    __test__ = False  # no test, whatever pytest makes of the name

    def __init__(self, cfg: CfgNode) -> None:
        self._reader = ImageReader(cfg)
        given = cfg.INPUT
        self._resize = T.ResizeShortestEdge(given.MIN_SIZE_TEST, given.MAX_SIZE_TEST, "choice")

    def __call__(self, dataset_dict: dict[str, Any]) -> dict[str, Any]:
        """Map one dict, which stays as it is.

        Raises:
            UserError: the image cannot be read, or has another size than its dict says, or than a
                proposal.
        """
        result = {k: v for k, v in dataset_dict.items() if k not in _READ}
        image = read_checked(self._reader, dataset_dict)
        result.setdefault("height", image.shape[0])
        result.setdefault("width", image.shape[1])
        resized = self._resize.get_transform(image).apply_image(image)
        result["image"] = torch.as_tensor(np.ascontiguousarray(resized.transpose(2, 0, 1)))
        if "proposals" in dataset_dict:
            shape, name = (image.shape[0], image.shape[1]), dataset_dict["file_name"]
            result["proposals"] = decode_proposals(dataset_dict["proposals"], shape, name)
        return result


def read_checked(reader: ImageReader, dataset_dict: dict[str, Any]) -> np.ndarray:
    """The image of a standard dict, (H, W, C).

    Raises:
        UserError: it cannot be read, or has another size than its dict says.
    """
    name = dataset_dict["file_name"]
    image = reader(name)
    expected = (dataset_dict.get("height"), dataset_dict.get("width"))
    if any(e not in (None, f) for e, f in zip(expected, image.shape, strict=False)):
        raise UserError(
            f"{name}: found an image of {image.shape[1]}x{image.shape[0]} pixels, expected the "
            f"{expected[1]}x{expected[0]} of its annotation; annotate it at its own size."
        )
    return image
