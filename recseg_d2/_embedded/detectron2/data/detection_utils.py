"""Reading images, and turning annotations into ``Instances``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import torch
from PIL import Image, ImageOps

from detectron2.structures import BitMasks, Boxes, BoxMode, Instances, PolygonMasks
from detectron2.structures.masks import polygons_to_bitmask
from detectron2.utils.file_io import PathManager

from . import transforms as T
from .catalog import MetadataCatalog


class SizeMismatchError(ValueError):
    """An image is not of the size that its annotation says."""


def read_image(file_name: str, format: str | None = None) -> np.ndarray:
    """Read an image, turned as its EXIF orientation says.

    Args:
        file_name: anything that ``PathManager`` opens.
        format: "BGR" or a mode of Pillow, such as "RGB" and "L"; None keeps the file's own.

    Returns:
        (H, W, C) uint8.
    """
    with PathManager.open(file_name, "rb") as file:
        image = ImageOps.exif_transpose(Image.open(file))
        if format is None:
            return np.asarray(image)
        array = np.asarray(image.convert("RGB" if format == "BGR" else format))
    if format == "L":
        return array[:, :, None]
    return array[:, :, ::-1] if format == "BGR" else array


def check_image_size(dataset_dict: dict[str, Any], image: np.ndarray) -> None:
    """Compare an image with its dict's "width" and "height", and fill these in if missing.

    Raises:
        SizeMismatchError: they disagree.
    """
    found = dict(zip(("height", "width"), image.shape[:2], strict=True))
    expected = {key: dataset_dict.setdefault(key, found[key]) for key in found}
    if expected != found:
        raise SizeMismatchError(
            f"{dataset_dict.get('file_name', 'image')}: Mismatched image shape: the file has "
            f"{found}, the annotation says {expected}. Please mend the annotation."
        )


def transform_instance_annotations(
    annotation: dict[str, Any], transforms: Any, image_size: tuple[int, int]
) -> dict[str, Any]:
    """Transform one object's box, and its polygons or RLE, in place.

    Args:
        annotation: with "bbox" and "bbox_mode", perhaps with "segmentation".
        transforms: what has been done to the image, a ``TransformList`` or a list.
        image_size: (height, width) of the image after that.

    Returns:
        The same dict; "bbox" is XYXY_ABS within the image; polygons stay lists of flat arrays,
        an RLE becomes an (H, W) uint8 mask.

    Raises:
        ValueError: the segmentation is neither polygons nor an RLE.
    """
    if isinstance(transforms, tuple | list):
        transforms = T.TransformList(transforms)
    height, width = image_size
    box = BoxMode.convert(annotation["bbox"], annotation["bbox_mode"], BoxMode.XYXY_ABS)
    box = transforms.apply_box(np.array([box]))[0].clip(min=0)
    annotation["bbox"] = np.minimum(box, [width, height, width, height])
    annotation["bbox_mode"] = BoxMode.XYXY_ABS
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list):
        polygons = [np.asarray(polygon).reshape(-1, 2) for polygon in segmentation]
        moved = transforms.apply_polygons(polygons)
        annotation["segmentation"] = [polygon.reshape(-1) for polygon in moved]
    elif isinstance(segmentation, dict):
        mask = transforms.apply_segmentation(mask_util.decode(segmentation))
        found = tuple(mask.shape[:2])
        assert found == tuple(image_size), f"The RLE's mask is {found}, the image {image_size}."
        annotation["segmentation"] = mask
    elif segmentation is not None:
        kind = type(segmentation).__name__
        raise ValueError(f"The segmentation is a {kind}: expected polygons or an RLE as a dict.")
    return annotation


def annotations_to_instances(
    annos: list[dict[str, Any]], image_size: tuple[int, int], mask_format: str = "polygon"
) -> Instances:
    """Collect the objects of one image.

    Args:
        annos: dicts with "bbox", "bbox_mode", "category_id", perhaps "segmentation".
        image_size: (height, width).
        mask_format: "polygon" makes ``PolygonMasks``, "bitmask" ``BitMasks``.

    Returns:
        gt_boxes, gt_classes (int64) and, where there are segmentations, gt_masks.

    Raises:
        ValueError: a segmentation does not fit ``mask_format``.
    """
    boxes = [BoxMode.convert(a["bbox"], a["bbox_mode"], BoxMode.XYXY_ABS) for a in annos]
    target = Instances(image_size)
    target.gt_boxes = Boxes(np.stack(boxes) if boxes else np.zeros((0, 4)))
    target.gt_classes = torch.tensor([int(a["category_id"]) for a in annos], dtype=torch.int64)
    if annos and "segmentation" in annos[0]:
        segmentations = [a["segmentation"] for a in annos]
        if mask_format == "polygon":
            target.gt_masks = PolygonMasks(segmentations)
        else:
            assert mask_format == "bitmask", f"mask_format is {mask_format!r}."
            masks = np.stack([_to_mask(s, image_size) for s in segmentations])
            target.gt_masks = BitMasks(torch.from_numpy(masks))
    return target


def _to_mask(segmentation: Any, image_size: tuple[int, int]) -> np.ndarray:
    if isinstance(segmentation, list):
        return polygons_to_bitmask(segmentation, *image_size)
    if isinstance(segmentation, dict):
        return mask_util.decode(segmentation)
    if isinstance(segmentation, np.ndarray) and segmentation.ndim == 2:
        return segmentation
    kind = type(segmentation).__name__
    raise ValueError(f"No BitMasks of a {kind}: expected polygons, an RLE, or an (H, W) array.")


def filter_empty_instances(
    instances: Instances, by_box: bool = True, by_mask: bool = True, box_threshold: float = 1e-5
) -> Instances:
    """Drop objects without a box or without a mask."""
    keep = torch.ones(len(instances), dtype=torch.bool)
    if by_box:
        keep = keep & instances.gt_boxes.nonempty(threshold=box_threshold)
    if by_mask and instances.has("gt_masks"):
        keep = keep & instances.gt_masks.nonempty()
    return instances[keep]


def check_metadata_consistency(key: str, dataset_names: Sequence[str]) -> None:
    """Raise AttributeError where a data set lacks a fact, ValueError where they differ in it."""
    values = {name: getattr(MetadataCatalog.get(name), key) for name in dataset_names}
    if any(value != values[dataset_names[0]] for value in values.values()):
        raise ValueError(f"Datasets have different metadata {key!r}: {values}.")


def build_augmentation(cfg: Any, is_train: bool) -> list[T.Augmentation]:
    """The default augmentations: a resize, and in training a flip."""
    given = cfg.INPUT
    if not is_train:
        return [T.ResizeShortestEdge(given.MIN_SIZE_TEST, given.MAX_SIZE_TEST, "choice")]
    style = given.MIN_SIZE_TRAIN_SAMPLING
    resize = T.ResizeShortestEdge(given.MIN_SIZE_TRAIN, given.MAX_SIZE_TRAIN, style)
    if given.RANDOM_FLIP == "none":
        return [resize]
    horizontal, vertical = given.RANDOM_FLIP == "horizontal", given.RANDOM_FLIP == "vertical"
    return [resize, T.RandomFlip(horizontal=horizontal, vertical=vertical)]
