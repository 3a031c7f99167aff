"""Label maps and masks to and from the annotations of Detectron2's standard dicts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from detectron2.structures import BoxMode

from recseg_d2 import rle
from recseg_d2.data.segmentations import Polygons, read_segmentation, to_rle
from recseg_d2.errors import UserError

# A key of standard dicts: RLE of the pixels of which it is not known what they show. Nothing is
# learned there, and nothing scored.
IGNORED = "ignored"


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
    for label, mask in rle.encode_labels(labels).items():
        if classes is None or label in classes:
            category = 0 if classes is None else classes[label]
            annotations.append(annotation_of(mask, labels.shape, category, label in crowds))
    return annotations


def annotation_of(
    mask: Polygons | rle.RLE | np.ndarray,
    shape: tuple[int, int],
    category: int,
    is_crowd: bool = False,
) -> dict[str, Any]:
    """An annotation with the tight box of its mask.

    Args:
        mask: what ``read_segmentation`` returned.
        shape: the image's height and width, pixels.
        category: the category's number.
        is_crowd: whether it is a region of several objects.
    """
    return {
        "bbox": rle.boxes([to_rle(mask, shape)])[0].tolist(),
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": category,
        "segmentation": mask,
        "iscrowd": int(is_crowd),
    }


def count_objects(record: Mapping[str, Any]) -> int:
    """Objects of a standard dict; crowds are none."""
    return sum(not a.get("iscrowd", 0) for a in record.get("annotations", []))


def wrong_category(category: Any, num_classes: int) -> str | None:
    """What is wrong with a category id, which has to be in [0, num_classes); None if nothing is."""
    if isinstance(category, Integral) and 0 <= int(category) < num_classes:
        return None
    return f"found category_id {category!r}, expected 0 to {num_classes - 1}."


def check_segmentation(segmentation: Any, shape: tuple[int, int], source: str) -> None:
    """Refuse what is no mask, at the cost of a look at the numbers.

    Args:
        segmentation: in any form that ``read_segmentation`` takes.
        shape: the image's height and width, pixels.
        source: file name for the error message.

    Raises:
        UserError: there is no mask, or ``read_segmentation`` refuses it.
    """
    _read_mask(segmentation, shape, source)


def segmentation_to_rle(segmentation: Any, shape: tuple[int, int], source: str) -> rle.RLE:
    """Bring a segmentation in any of the forms to compressed RLE, ready for JSON.

    The arguments and errors are those of ``check_segmentation``.
    """
    return to_rle(_read_mask(segmentation, shape, source), shape)


def decode_segmentation(segmentation: Any, shape: tuple[int, int], source: str) -> np.ndarray:
    """Rasterise a segmentation in any of the forms.

    The arguments and errors are those of ``check_segmentation``.

    Returns:
        (H, W) uint8, 0 or 1.
    """
    mask = _read_mask(segmentation, shape, source)
    if isinstance(mask, np.ndarray):
        return mask.astype(np.uint8)
    return rle.decode(to_rle(mask, shape))


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


def ignored_from_dict(record: Mapping[str, Any]) -> np.ndarray | None:
    """(height, width) bool, ``IGNORED`` of a standard dict; None where it has no such pixel."""
    return rle.decode(record[IGNORED]) > 0 if IGNORED in record else None


def pack_label_planes(
    masks: Iterable[np.ndarray], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pack masks into as few label maps as overlap allows, so that one warp moves many objects.

    Moving a label map with nearest-neighbour sampling moves each of its masks exactly as if alone.

    Args:
        masks: N of (H, W) 0 or 1, looked at one after another; they may overlap.
        shape: H and W.

    Returns:
        planes: (P, H, W) uint8 label maps; P is 1 where at most 255 masks do not overlap.
        plane: (N,) int64, the label map in which a mask went.
        value: (N,) int64, its label there.
    """
    planes: list[np.ndarray] = []
    places: list[tuple[int, int]] = []
    used: list[int] = []
    for mask in masks:
        inside = mask > 0
        for p, labels in enumerate(planes):
            if used[p] < np.iinfo(np.uint8).max and not labels[inside].any():
                break
        else:
            p = len(planes)
            planes.append(np.zeros(shape, np.uint8))
            used.append(0)
        used[p] += 1
        planes[p][inside] = used[p]
        places.append((p, used[p]))
    stacked = np.stack(planes) if planes else np.zeros((0, *shape), np.uint8)
    plane, value = np.array(places, np.int64).reshape(-1, 2).T
    return stacked, plane, value


def unpack_label_planes(planes: np.ndarray, plane: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(N, H, W) bool masks from what ``pack_label_planes`` returned, moved or not."""
    return planes[plane] == value[:, None, None]


def label_areas(planes: np.ndarray, plane: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(N,) int64, pixels of each mask of packed planes, without unpacking them."""
    levels = np.iinfo(np.uint8).max + 1
    counts = [np.bincount(p.ravel(), minlength=levels) for p in planes]
    return np.stack(counts)[plane, value] if counts else np.zeros(0, np.int64)


def _read_mask(
    segmentation: Any, shape: tuple[int, int], source: str
) -> Polygons | rle.RLE | np.ndarray:
    mask = read_segmentation(segmentation, shape, source)
    if mask is None:
        raise UserError(
            f"{source}: found an annotation without a mask (its segmentation is {segmentation!r}, "
            "a polygon needs at least 3 points); boxes alone cannot train masks."
        )
    return mask
