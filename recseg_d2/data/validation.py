"""Whether standard dicts are good to train and evaluate on.

The one check that the dicts of every data set pass, whatever they come from: sources refuse bad
files one by one, this looks at what they return. A report names all that is wrong
(``validate_dicts``); what loads the data for training stops at the first thing that it cannot use
and opens no image (``check_dataset_dicts``).
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from detectron2.structures import Boxes, BoxMode, pairwise_iou
from detectron2.utils.file_io import PathManager

from recseg_d2 import rle
from recseg_d2.data.annotations import (
    check_segmentation,
    count_objects,
    segmentation_to_rle,
    wrong_category,
)
from recseg_d2.data.image_check import ImageChecker
from recseg_d2.data.problems import Problem, Record, in_threads
from recseg_d2.data.summary import ImageFacts, Summary
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

_KEYS: dict[str, Any] = {"file_name": str, "image_id": (int, str), "height": int, "width": int}
# Boxes of polygons are not exactly those of the pixels drawn from them: thin ends vanish. A box is
# taken for that of another object if an edge is off by more pixels and the IoU is below this.
BOX_SLACK, LEAST_BOX_IOU = 3.0, 0.5


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        problems: what is wrong, in the order of the images; empty for a good data set.
        summary: numbers over all images.
        facts: of each image that the summary is of.
    """

    problems: list[Problem]
    summary: Summary
    facts: list[ImageFacts] = field(default_factory=list)


def validate_dicts(
    dicts: Sequence[Record],
    classes: Sequence[str],
    images: ImageChecker | None = None,
    progress: str = "",
) -> Report:
    """Check Detectron2's standard dicts.

    A problem is: a key that is missing or of another type, an image that is missing, unreadable or
    of another size than its dict says, an ``image_id`` that occurs twice, a category out of range,
    an annotation without a mask, a mask of another size than the image or without a pixel, a box
    that is no box, leaves the image or is not around its mask, and ``iscrowd`` other than 0 or 1.
    Boxes that fit badly and masks without a pixel are warnings: training goes by the masks.

    Args:
        dicts: one for each image; a dict without "annotations" is of a test set.
        classes: their names, in the order of the category ids.
        images: opens the image files; None reads their headers.
        progress: see ``in_threads``.
    """
    checker = ImageChecker(decode=False) if images is None else images
    check = partial(_check_record, classes=len(classes), images=checker)
    checked = in_threads(check, dicts, progress)
    problems = [Problem(c.file, *finding) for c in checked for finding in c.findings]
    problems += _repeated_ids(dicts)
    facts = [c.facts for c in checked if c.facts is not None]
    return Report(problems, Summary.of(facts, classes), facts)


def check_dataset_dicts(dicts: Sequence[Record], name: str, num_classes: int) -> None:
    """Refuse a data set that cannot be used for training.

    Args:
        dicts: Detectron2's standard dicts.
        name: name of the data set, for the messages.
        num_classes: number of classes C; category ids have to be in [0, C).

    Raises:
        UserError: no image at all, an image file is missing, an object without a mask, a mask whose
            size is not the image's, or a class out of range.
    """
    if not dicts:
        raise UserError(
            f"{name}: found no image to use; check the folder, and the filters (number of objects, "
            "DATALOADER.FILTER_EMPTY_ANNOTATIONS)."
        )
    for record in dicts:
        where = f"{name}: {record['file_name']}"
        if not PathManager.isfile(record["file_name"]):
            raise UserError(f"{where}: no such image file; check the path in the annotations.")
        for annotation in record.get("annotations", []):
            if annotation.get("iscrowd", 0):
                continue
            if wrong := wrong_category(annotation["category_id"], num_classes):
                raise UserError(
                    f"{where}: {wrong} Set MODEL.NUM_CLASSES to the data set's number of classes."
                )
            if {"height", "width"} <= record.keys():  # else the mapper knows when it has read it
                shape = (record["height"], record["width"])
                check_segmentation(annotation.get("segmentation"), shape, where)


def report_oddities(dicts: Sequence[Record], name: str, max_instances: int | None) -> None:
    """Log what is odd about a data set that can be used.

    That is images without an object, and images with more than ``max_instances``, the most that the
    model can find (None: any number). Crowds do not count.
    """
    counts = [count_objects(record) for record in dicts]
    empty = counts.count(0)
    if empty:
        logger.warning("%s: %d of %d images have no object.", name, empty, len(dicts))
    most = max(counts, default=0)
    if max_instances is not None and most > max_instances:
        logger.warning(
            "%s: %d of %d images have more than %d objects (up to %d, %s); only the largest are "
            "used. MODEL.SEQUENTIAL.STEPS and MAX_OBJECTS set the limit.",
            name, sum(c > max_instances for c in counts), len(dicts), max_instances, most,
            dicts[counts.index(most)]["file_name"],
        )  # fmt: skip


class _Finding(NamedTuple):
    """The message of a ``Problem``, and whether it is a warning."""

    message: str
    warning: bool = False


class _Checked(NamedTuple):
    """The file to name, what was found, and facts unless the dict's own keys are wrong."""

    file: str
    findings: list[_Finding]
    facts: ImageFacts | None


def _check_record(record: Record, classes: int, images: ImageChecker) -> _Checked:
    findings = [
        _Finding(f"found {key} {record.get(key)!r}, expected {_words(kind)}.")
        for key, kind in _KEYS.items()
        if not isinstance(record.get(key), kind)
    ]
    file = str(record.get("file_name", "?"))
    if findings:
        return _Checked(file, findings, None)
    findings += _check_image(record, images)
    shape = (record["height"], record["width"])
    facts = ImageFacts(shape, annotated="annotations" in record)
    for number, annotation in enumerate(record.get("annotations", []), start=1):
        found, area = _check_annotation(annotation, shape, classes)
        findings += [f._replace(message=f"annotation {number}: {f.message}") for f in found]
        if annotation.get("iscrowd", 0):
            facts.crowds += 1
        elif area and all(f.warning for f in found):
            facts.categories.append(annotation["category_id"])
            facts.areas.append(area)
    return _Checked(file, findings, facts)


def _words(kind: Any) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join({int: "a whole number", str: "text"}[k] for k in kinds)


def _check_image(record: Record, images: ImageChecker) -> list[_Finding]:
    name = record["file_name"]
    if not PathManager.isfile(name):
        return [_Finding("no such image file.")]
    try:
        image = images(name)
    except UserError as error:
        return [_Finding(Problem.of(name, error).message)]
    expected = (record["height"], record["width"])
    if image is None or image.size == expected:
        return []
    hint = ""
    if image.size == expected[::-1]:
        hint = (
            " If the camera's orientation turns it (EXIF), annotate the upright image, or store it "
            "upright."
        )
    return [
        _Finding(
            f"found an image of {image.width}x{image.height} pixels, its dict says "
            f"{expected[1]}x{expected[0]}.{hint}"
        )
    ]


def _check_annotation(
    annotation: dict[str, Any], shape: tuple[int, int], classes: int
) -> tuple[list[_Finding], int]:
    """What was found, and the mask's area in pixels."""
    wrong_class = wrong_category(annotation.get("category_id"), classes)
    findings = [] if wrong_class is None else [_Finding(wrong_class)]
    if annotation.get("iscrowd", 0) not in (0, 1):
        findings.append(_Finding(f"found iscrowd {annotation['iscrowd']!r}, expected 0 or 1."))
    box, wrong = _corners(annotation, shape)
    findings += wrong
    try:
        mask = segmentation_to_rle(annotation.get("segmentation"), shape, "segmentation")
    except UserError as error:
        return [*findings, _Finding(str(error))], 0
    area = int(rle.areas([mask])[0])
    if area == 0:
        findings.append(_Finding("found a mask without a pixel.", warning=True))
    elif box is not None:
        findings += _compare(box, rle.boxes([mask])[0].tolist())
    return findings, area


def _corners(
    annotation: dict[str, Any], shape: tuple[int, int]
) -> tuple[list[float] | None, list[_Finding]]:
    """The box as x0, y0, x1, y1, and what is wrong with it; None where it is no box."""
    box, mode = annotation.get("bbox"), annotation.get("bbox_mode")
    if not _is_box(box) or not isinstance(mode, BoxMode):
        expected = "four numbers and a BoxMode"
        return None, [_Finding(f"found bbox {box!r}, bbox_mode {mode!r}; expected {expected}.")]
    assert box is not None
    x0, y0, x1, y1 = BoxMode.convert([float(v) for v in box], mode, BoxMode.XYXY_ABS)
    text = f"found a box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g})"
    if x1 <= x0 or y1 <= y0:
        expected = "expected one of some width and height."
        return None, [_Finding(f"{text}, {expected}", warning=True)]
    outside = max(-x0, -y0, x1 - shape[1], y1 - shape[0])
    if outside > 1:
        message = f"{text}, {outside:g} pixels outside of the image."
        return [x0, y0, x1, y1], [_Finding(message, warning=True)]
    return [x0, y0, x1, y1], []


def _is_box(box: Any) -> bool:
    return box is not None and len(box) == 4 and all(math.isfinite(v) for v in box)


def _compare(box: list[float], mask_box: list[float]) -> list[_Finding]:
    """A box (corners) against that around the mask (x, y, width, height)."""
    x, y, width, height = mask_box
    around = [x, y, x + width, y + height]
    off = max(abs(a - b) for a, b in zip(box, around, strict=True))
    if off <= BOX_SLACK or _box_iou(box, around) >= LEAST_BOX_IOU:
        return []
    found, expected = (", ".join(f"{v:g}" for v in values) for values in (box, around))
    message = f"found a box of corners {found} around a mask of corners {expected}."
    return [_Finding(message, warning=True)]


def _box_iou(one: list[float], other: list[float]) -> float:
    return float(pairwise_iou(Boxes([one]), Boxes([other])))


def _repeated_ids(dicts: Sequence[Record]) -> list[Problem]:
    counts = Counter(record.get("image_id") for record in dicts)
    return [
        Problem(str(r.get("file_name")), f"its image_id {r['image_id']!r} occurs {count} times.")
        for r in dicts
        if (count := counts[r.get("image_id")]) > 1 and r.get("image_id") is not None
    ]
