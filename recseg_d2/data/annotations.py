"""Label maps and masks to and from the annotations of Detectron2's standard dicts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from detectron2.structures import BoxMode
from pycocotools import mask as coco_mask

from recseg_d2.errors import UserError


def label_map_to_annotations(
    labels: np.ndarray, classes: Mapping[int, int] | None = None, crowds: Collection[int] = ()
) -> list[dict[str, Any]]:
    """One annotation for each label above 0, in increasing order of the labels.

    Args:
        labels: (H, W) integers; 0 is background.
        classes: category of each label; None puts all in category 0. Labels that it lacks are
            left out.
        crowds: labels of regions of several objects that were not told apart.

    Returns:
        Annotations with "bbox" (x, y, width, height), "bbox_mode", "category_id", "segmentation"
        (compressed RLE whose counts are a str, hence JSON-ready) and "iscrowd", 1 for crowds.
    """
    annotations = []
    for label, rle in _encode(labels).items():
        if classes is None or label in classes:
            category = 0 if classes is None else classes[label]
            annotations.append(_annotation(rle, category, label in crowds))
    return annotations


def decode_segmentation(segmentation: Any, shape: tuple[int, int], source: str) -> np.ndarray:
    """Rasterise a segmentation in any of Detectron2's forms.

    Args:
        segmentation: list of polygons [x0, y0, x1, y1, ...], RLE dict (compressed or not), or an
            (H, W) array.
        shape: the image's height and width, pixels.
        source: file name for the error message.

    Returns:
        (H, W) uint8, 0 or 1.

    Raises:
        UserError: the form is unknown, or the mask's size is not the image's.
    """
    if isinstance(segmentation, np.ndarray):  # spares the way to RLE and back
        _check_size(segmentation.shape, shape, source)
        return segmentation.astype(bool).astype(np.uint8)
    return coco_mask.decode(segmentation_to_rle(segmentation, shape, source))


def segmentation_to_rle(segmentation: Any, shape: tuple[int, int], source: str) -> dict[str, Any]:
    """Bring a segmentation in any of Detectron2's forms to compressed RLE.

    Args:
        segmentation: list of polygons [x0, y0, x1, y1, ...], RLE dict (compressed or not), or an
            (H, W) array.
        shape: the image's height and width, pixels.
        source: file name for the error message.

    Returns:
        {"size": [H, W], "counts": bytes or str}, as pycocotools takes it.

    Raises:
        UserError: the form is unknown, or the mask's size is not the image's.
    """
    if isinstance(segmentation, np.ndarray):
        _check_size(segmentation.shape, shape, source)
        return coco_mask.encode(np.asfortranarray(segmentation.astype(bool).astype(np.uint8)))
    if isinstance(segmentation, dict):
        _check_size(tuple(segmentation["size"]), shape, source)
        return _compressed(segmentation, source)
    if isinstance(segmentation, list) and segmentation:
        polygons = [np.asarray(p, dtype=float).ravel().tolist() for p in segmentation]
        if any(len(p) < 6 or len(p) % 2 for p in polygons):
            raise UserError(f"{source}: a polygon needs at least 3 points, x and y of each.")
        return coco_mask.merge(coco_mask.frPyObjects(polygons, *shape))
    raise UserError(
        f"{source}: found an annotation whose segmentation is {type(segmentation).__name__!r}, "
        "expected polygons, an RLE dict or a mask array; boxes alone cannot train masks."
    )


def label_map_from_dict(record: dict[str, Any]) -> np.ndarray:
    """Draw the objects of a standard dict into one label map.

    Where annotations overlap the smaller object is on top, so that none vanishes under a larger
    one. Crowd regions (``iscrowd``) are no objects and stay background.

    Args:
        record: a dict in Detectron2's standard format with polygons, RLE or bitmask arrays.

    Returns:
        (height, width) int32, 0 is background.

    Raises:
        UserError: an annotation is of none of these forms, or of another size than the image.
    """
    shape, name = (record["height"], record["width"]), record["file_name"]
    objects = [a for a in record.get("annotations", []) if not a.get("iscrowd", 0)]
    masks = [decode_segmentation(a.get("segmentation"), shape, name) for a in objects]
    labels = np.zeros(shape, dtype=np.int32)
    largest_first = sorted(masks, key=np.count_nonzero, reverse=True)
    for label, mask in enumerate(largest_first, start=1):
        labels[mask > 0] = label
    return labels


def pack_label_planes(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pack masks into as few label maps as overlap allows, so that one warp moves many objects.

    Moving a label map with nearest-neighbour sampling moves each of its masks exactly as if alone.

    Args:
        masks: (N, H, W) 0 or 1; they may overlap.

    Returns:
        planes: (P, H, W) uint8 label maps; P is 1 where at most 255 masks do not overlap.
        plane: (N,) int64, the label map in which a mask went.
        value: (N,) int64, its label there.
    """
    planes: list[np.ndarray] = []
    plane_of, value_of = np.zeros(len(masks), np.int64), np.zeros(len(masks), np.int64)
    used: list[int] = []
    for n, mask in enumerate(masks):
        inside = mask > 0
        for p, labels in enumerate(planes):
            if used[p] < np.iinfo(np.uint8).max and not labels[inside].any():
                break
        else:
            p = len(planes)
            planes.append(np.zeros(mask.shape, np.uint8))
            used.append(0)
        used[p] += 1
        planes[p][inside] = used[p]
        plane_of[n], value_of[n] = p, used[p]
    stacked = np.stack(planes) if planes else np.zeros((0, *masks.shape[1:]), np.uint8)
    return stacked, plane_of, value_of


def unpack_label_planes(planes: np.ndarray, plane: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(N, H, W) bool masks from what ``pack_label_planes`` returned, moved or not."""
    return planes[plane] == value[:, None, None]


def label_areas(planes: np.ndarray, plane: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(N,) int64, pixels of each mask of packed planes, without unpacking them."""
    levels = np.iinfo(np.uint8).max + 1
    counts = [np.bincount(p.ravel(), minlength=levels) for p in planes]
    return np.stack(counts)[plane, value] if counts else np.zeros(0, np.int64)


def _check_size(found: tuple[int, ...], expected: tuple[int, int], source: str) -> None:
    if tuple(found) != tuple(expected):
        raise UserError(
            f"{source}: found a mask of {'x'.join(map(str, found[::-1]))} pixels, expected the "
            f"image's {expected[1]}x{expected[0]}; annotate the image at its own size."
        )


def _compressed(rle: dict[str, Any], source: str) -> dict[str, Any]:
    if not isinstance(rle["counts"], list):
        return rle
    height, width = rle["size"]
    if sum(rle["counts"]) != height * width:
        raise UserError(
            f"{source}: found an RLE of {sum(rle['counts'])} pixels in all, expected the "
            f"{height * width} of {width}x{height}; its counts are damaged."
        )
    return coco_mask.frPyObjects(rle, height, width)


def _encode(labels: np.ndarray) -> dict[int, dict[str, Any]]:
    """Compressed RLE, counts as str, of each label above 0, in increasing order of the labels.

    All masks come out of one pass over the runs of the label map, however many objects there are.
    """
    flat = labels.ravel(order="F")  # RLE runs down the columns
    starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]]) if flat.size else np.zeros(0, int)
    ends = np.r_[starts[1:], flat.size]
    order = np.argsort(flat[starts], kind="stable")
    values, first = np.unique(flat[starts][order], return_index=True)
    rles = {}
    for value, runs in zip(values, np.split(order, first[1:]), strict=True):
        if value > 0:
            edges = np.stack([starts[runs], ends[runs]], axis=1).ravel()
            counts = np.diff(np.r_[0, edges, flat.size])  # lengths of background, object, ...
            rles[int(value)] = _compress(counts[: len(counts) - (counts[-1] == 0)], labels.shape)
    return rles


def _compress(counts: np.ndarray, shape: tuple[int, ...]) -> dict[str, Any]:
    rle = coco_mask.frPyObjects({"size": list(shape), "counts": counts.tolist()}, *shape)
    return {"size": list(shape), "counts": rle["counts"].decode("ascii")}


def _annotation(rle: dict[str, Any], category: int, is_crowd: bool) -> dict[str, Any]:
    return {
        "bbox": [float(v) for v in coco_mask.toBbox(rle)],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": category,
        "segmentation": rle,
        "iscrowd": int(is_crowd),
    }
