"""Reading images, and turning annotations into ``Instances``.

May use: numpy, torch, Pillow, pycocotools, detectron2.structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import torch
from fvcore.transforms.transform import CropTransform
from PIL import Image, ImageOps

from detectron2.structures import (
    BitMasks,
    Boxes,
    BoxMode,
    Instances,
    PolygonMasks,
    polygons_to_bitmask,
)
from detectron2.utils.file_io import PathManager

from . import transforms as T
from .catalog import MetadataCatalog

_YUV_FROM_RGB = np.array(  # ITU-R BT.601, analogue: Y in [0, 1], U and V around 0
    [[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]]
)
_RGB_FROM_YUV = np.array([[1.0, 0.0, 1.13983], [1.0, -0.39465, -0.58060], [1.0, 2.03211, 0.0]])


class SizeMismatchError(ValueError):
    """An image is not of the size that its annotation says."""


def read_image(file_name: str, format: str | None = None) -> np.ndarray:
    """Read an image, turned as its EXIF orientation says.

    Args:
        file_name: anything that ``PathManager`` opens.
        format: "BGR", "YUV-BT.601" or a mode of Pillow, such as "RGB" and "L"; None keeps the
            file's own.

    Returns:
        (H, W, C) uint8, for YUV-BT.601 float with Y in [0, 1].
    """
    with PathManager.open(file_name, "rb") as file:
        return convert_PIL_to_numpy(ImageOps.exif_transpose(Image.open(file)), format)


def convert_PIL_to_numpy(image: Image.Image, format: str | None) -> np.ndarray:
    """(H, W, C) array of a Pillow image; ``format`` as in ``read_image``."""
    if format is None:
        return np.asarray(image)
    array = np.asarray(image.convert("RGB" if format in ("BGR", "YUV-BT.601") else format))
    if format == "L":
        return array[:, :, None]
    if format == "BGR":
        return array[:, :, ::-1]
    return np.dot(array / 255.0, _YUV_FROM_RGB.T) if format == "YUV-BT.601" else array


def convert_image_to_rgb(image: np.ndarray | torch.Tensor, format: str) -> np.ndarray:
    """(H, W, 3) RGB in [0, 255] of an (H, W, C) image in one of ``read_image``'s formats."""
    array = image.cpu().numpy() if isinstance(image, torch.Tensor) else image
    if format == "BGR":
        return array[:, :, ::-1]
    if format == "YUV-BT.601":
        return np.dot(array, _RGB_FROM_YUV.T) * 255.0
    array = array.astype(np.uint8)
    size = array.shape[1::-1]
    return np.asarray(Image.frombytes(format, size, array.tobytes()).convert("RGB"))


def check_image_size(dataset_dict: dict[str, Any], image: np.ndarray) -> None:
    """Compare an image with its dict's "width" and "height", and fill these in if missing.

    Raises:
        SizeMismatchError: they disagree.
    """
    found = dict(zip(("height", "width"), image.shape[:2], strict=True))
    expected = {key: dataset_dict.setdefault(key, found[key]) for key in found}
    if expected != found:
        raise SizeMismatchError(
            f"Mismatched image shape for image {dataset_dict.get('file_name', '(no file_name)')}: "
            f"the file has {found}, the annotation says {expected}. Please check the width/height "
            "in your annotation."
        )


def transform_instance_annotations(
    annotation: dict[str, Any],
    transforms: Any,
    image_size: tuple[int, int],
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
    if "segmentation" in annotation:
        segmentation = annotation["segmentation"]
        annotation["segmentation"] = _transform_segmentation(segmentation, transforms, image_size)
    return annotation


def _transform_segmentation(segmentation, transforms, image_size):
    if isinstance(segmentation, list):
        polygons = [np.asarray(polygon).reshape(-1, 2) for polygon in segmentation]
        return [polygon.reshape(-1) for polygon in transforms.apply_polygons(polygons)]
    if isinstance(segmentation, dict):
        mask = transforms.apply_segmentation(mask_util.decode(segmentation))
        assert tuple(mask.shape[:2]) == tuple(image_size), (
            f"The RLE becomes a mask of {mask.shape[:2]}, but the image is {image_size}."
        )
        return mask
    raise ValueError(
        f"Cannot transform segmentation of type {type(segmentation).__name__}: expected polygons "
        "as list[list[float]] or COCO-style RLE as a dict."
    )


def annotations_to_instances(
    annos: list[dict[str, Any]], image_size: tuple[int, int], mask_format: str = "polygon"
) -> Instances:
    """Collect the objects of one image.

    Args:
        annos: dicts with "bbox", "bbox_mode", "category_id", perhaps "segmentation".
        image_size: (height, width).
        mask_format: "polygon" makes ``PolygonMasks``, "bitmask" ``BitMasks``.

    Returns:
        ``Instances`` with gt_boxes, gt_classes (int64) and, where there are segmentations,
        gt_masks.
    """
    boxes = [BoxMode.convert(a["bbox"], a["bbox_mode"], BoxMode.XYXY_ABS) for a in annos]
    target = Instances(image_size)
    target.gt_boxes = Boxes(np.stack(boxes) if boxes else np.zeros((0, 4)))
    target.gt_classes = torch.tensor([int(a["category_id"]) for a in annos], dtype=torch.int64)
    if annos and "segmentation" in annos[0]:
        segmentations = [a["segmentation"] for a in annos]
        target.gt_masks = _MASK_MAKERS[mask_format](segmentations, image_size)
    return target


def _make_polygons(segmentations: list, image_size: tuple[int, int]) -> PolygonMasks:
    try:
        return PolygonMasks(segmentations)
    except ValueError as error:
        raise ValueError(
            "Failed to use mask_format=='polygon' from the given annotations: set "
            "INPUT.MASK_FORMAT to 'bitmask' for masks and RLE."
        ) from error


def _make_bitmasks(segmentations: list, image_size: tuple[int, int]) -> BitMasks:
    return BitMasks(torch.from_numpy(np.stack([_to_mask(s, image_size) for s in segmentations])))


_MASK_MAKERS = {"polygon": _make_polygons, "bitmask": _make_bitmasks}


def _to_mask(segmentation: Any, image_size: tuple[int, int]) -> np.ndarray:
    if isinstance(segmentation, list):
        return polygons_to_bitmask(segmentation, *image_size)
    if isinstance(segmentation, dict):
        return mask_util.decode(segmentation)
    if isinstance(segmentation, np.ndarray) and segmentation.ndim == 2:
        return segmentation
    raise ValueError(
        f"Cannot convert segmentation of type {type(segmentation).__name__} to BitMasks: expected "
        "polygons as list[list[float]], COCO-style RLE as a dict, or a mask of shape (H, W)."
    )


def filter_empty_instances(
    instances: Instances,
    by_box: bool = True,
    by_mask: bool = True,
    box_threshold: float = 1e-5,
    return_mask: bool = False,
) -> Any:
    """Drop objects without a box or without a mask; with ``return_mask`` also say which stay."""
    assert by_box or by_mask, "Filter by box, by mask, or by both."
    keep = torch.ones(len(instances), dtype=torch.bool)
    if by_box:
        keep = keep & instances.gt_boxes.nonempty(threshold=box_threshold)
    if by_mask and instances.has("gt_masks"):
        keep = keep & instances.gt_masks.nonempty()
    return (instances[keep], keep) if return_mask else instances[keep]


def gen_crop_transform_with_instance(
    crop_size: tuple[int, int], image_size: tuple[int, int], instance: dict[str, Any]
) -> Any:
    """A random ``CropTransform`` to ``crop_size`` (h, w) that holds the centre of an object."""
    crop, size = np.asarray(crop_size), np.asarray(image_size)
    box = BoxMode.convert(instance["bbox"], instance["bbox_mode"], BoxMode.XYXY_ABS)
    center = np.array([box[1] + box[3], box[0] + box[2]]) / 2  # y, x
    assert (size >= center).all(), f"The box {box} is outside of the image of {image_size}!"
    assert (size >= crop).all(), f"Crop size {crop_size} is larger than image size {image_size}!"
    first = np.maximum(np.floor(center).astype(int) - crop, 0)
    last = np.minimum(size - crop, np.ceil(center).astype(int))
    y, x = (np.random.randint(low, high + 1) for low, high in zip(first, last, strict=True))  # noqa: NPY002
    return CropTransform(x, y, crop_size[1], crop_size[0])


def check_metadata_consistency(key: str, dataset_names: Sequence[str]) -> None:
    """Check that data sets agree on a fact.

    Raises:
        AttributeError: one of them lacks it.
        ValueError: they differ.
    """
    values = {name: getattr(MetadataCatalog.get(name), key) for name in dataset_names}
    for name, value in values.items():
        if value != values[dataset_names[0]]:
            raise ValueError(
                f"Datasets have different metadata {key!r}: {dataset_names[0]!r} has "
                f"{values[dataset_names[0]]}, {name!r} has {value}."
            )


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
