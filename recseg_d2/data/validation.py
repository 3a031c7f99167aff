"""Whether standard dicts are good to train and evaluate on.

The one check that the dicts of every data set pass, whatever they come from. Loaders refuse bad
files one by one; this looks at what they return.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from detectron2.structures import BoxMode
from detectron2.utils.file_io import PathManager
from pycocotools import mask as coco_mask

from recseg_d2.data.annotations import segmentation_to_rle
from recseg_d2.data.image_io import probe_image
from recseg_d2.data.problems import Problem, Record, read_all
from recseg_d2.data.summary import ImageFacts, Summary
from recseg_d2.errors import UserError

_KEYS: dict[str, Any] = {"file_name": str, "image_id": (int, str), "height": int, "width": int}
# Boxes of polygons are not exactly those of the pixels drawn from them: thin ends vanish. A box is
# taken for that of another object if an edge is off by more pixels and the IoU is below this.
BOX_SLACK, LEAST_BOX_IOU = 3.0, 0.5


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        problems: what has to be mended, in the order of the images; empty for a good data set.
        summary: numbers over all images.
    """

    problems: list[Problem]
    summary: Summary


def validate_dicts(
    dicts: Sequence[Record], classes: Sequence[str], open_images: bool = True
) -> Report:
    """Check Detectron2's standard dicts.

    A problem is: a key that is missing or of another type, an image that is missing, unreadable or
    of another size than its dict says, an ``image_id`` that occurs twice, a category out of range,
    an annotation without a mask, a mask of another size than the image or without a pixel, a box
    that is no box, leaves the image or is not around its mask, and ``iscrowd`` other than 0 or 1.

    Args:
        dicts: one for each image; a dict without "annotations" is of a test set.
        classes: their names, in the order of the category ids.
        open_images: read each image's header too, which finds missing files and wrong sizes.
    """
    check = partial(_check_record, classes=len(classes), open_images=open_images)
    checked = read_all(check, dicts)
    problems = [Problem(c["file"], message) for c in checked for message in c["messages"]]
    problems += _repeated_ids(dicts)
    facts = [c["facts"] for c in checked if c["facts"] is not None]
    return Report(problems, Summary.of(facts, classes))


def _check_record(record: Record, classes: int, open_images: bool) -> dict[str, Any]:
    """The file to name, messages, and ``ImageFacts`` unless the dict's own keys are wrong."""
    messages = [
        f"found {key} {record.get(key)!r}, expected {_words(kind)}."
        for key, kind in _KEYS.items()
        if not isinstance(record.get(key), kind)
    ]
    file = str(record.get("file_name", "?"))
    if messages:
        return {"file": file, "messages": messages, "facts": None}
    if open_images:
        messages += _check_image(record)
    shape = (record["height"], record["width"])
    facts = ImageFacts(shape, annotated="annotations" in record)
    for number, annotation in enumerate(record.get("annotations", []), start=1):
        found, area = _check_annotation(annotation, shape, classes)
        messages += [f"annotation {number}: {message}" for message in found]
        if annotation.get("iscrowd", 0):
            facts.crowds += 1
        elif not found:
            facts.categories.append(annotation["category_id"])
            facts.areas.append(area)
    return {"file": file, "messages": messages, "facts": facts}


def _words(kind: Any) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join({int: "a whole number", str: "text"}[k] for k in kinds)


def _check_image(record: Record) -> list[str]:
    name = record["file_name"]
    if not PathManager.isfile(name):
        return ["no such image file."]
    try:
        with PathManager.open(name, "rb") as stream:
            height, width = probe_image(name, decode=False, stream=stream)
    except UserError as error:
        return [str(error)]
    if (height, width) != (record["height"], record["width"]):
        expected = f"{record['width']}x{record['height']}"
        return [f"found an image of {width}x{height} pixels, its dict says {expected}."]
    return []


def _check_annotation(
    annotation: dict[str, Any], shape: tuple[int, int], classes: int
) -> tuple[list[str], int]:
    """Messages, and the mask's area in pixels."""
    messages = []
    category = annotation.get("category_id")
    if not isinstance(category, int) or not 0 <= category < classes:
        messages.append(f"found category_id {category!r}, expected 0 to {classes - 1}.")
    if annotation.get("iscrowd", 0) not in (0, 1):
        messages.append(f"found iscrowd {annotation['iscrowd']!r}, expected 0 or 1.")
    box, wrong = _corners(annotation, shape)
    messages += wrong
    try:
        rle = segmentation_to_rle(annotation.get("segmentation"), shape, "segmentation")
    except UserError as error:
        return [*messages, str(error)], 0
    area = int(coco_mask.area(rle))
    if area == 0:
        messages.append("found a mask without a pixel.")
    elif box is not None:
        messages += _compare(box, [float(v) for v in coco_mask.toBbox(rle)])
    return messages, area


def _corners(
    annotation: dict[str, Any], shape: tuple[int, int]
) -> tuple[list[float] | None, list[str]]:
    """The box as x0, y0, x1, y1, and what is wrong with it; None where it is no box."""
    box, mode = annotation.get("bbox"), annotation.get("bbox_mode")
    if not _is_box(box) or not isinstance(mode, BoxMode):
        expected = "four numbers and a BoxMode"
        return None, [f"found bbox {box!r}, bbox_mode {mode!r}; expected {expected}."]
    assert box is not None
    x0, y0, x1, y1 = BoxMode.convert([float(v) for v in box], mode, BoxMode.XYXY_ABS)
    text = f"found a box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g})"
    if x1 <= x0 or y1 <= y0:
        return None, [f"{text}, expected one of some width and height."]
    outside = max(-x0, -y0, x1 - shape[1], y1 - shape[0])
    if outside > 1:
        return [x0, y0, x1, y1], [f"{text}, {outside:g} pixels outside of the image."]
    return [x0, y0, x1, y1], []


def _is_box(box: Any) -> bool:
    return box is not None and len(box) == 4 and all(math.isfinite(v) for v in box)


def _compare(box: list[float], mask_box: list[float]) -> list[str]:
    """A box (corners) against that around the mask (x, y, width, height)."""
    x, y, width, height = mask_box
    around = [x, y, x + width, y + height]
    extents = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
    iou = float(coco_mask.iou([extents], [mask_box], [0])[0, 0])
    off = max(abs(a - b) for a, b in zip(box, around, strict=True))
    if off <= BOX_SLACK or iou >= LEAST_BOX_IOU:
        return []
    found, expected = (", ".join(f"{v:g}" for v in values) for values in (box, around))
    return [f"found a box of corners {found} around a mask of corners {expected}."]


def _repeated_ids(dicts: Sequence[Record]) -> list[Problem]:
    counts = Counter(record.get("image_id") for record in dicts)
    return [
        Problem(str(r.get("file_name")), f"its image_id {r['image_id']!r} occurs {count} times.")
        for r in dicts
        if (count := counts[r.get("image_id")]) > 1 and r.get("image_id") is not None
    ]
