"""Checks of standard dicts before training starts. May use: detectron2.utils.file_io.

What can be known without opening an image is checked here; what needs the pixels, by the data sets
as they load and by the mapper.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from detectron2.utils.file_io import PathManager

from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)


def check_dataset_dicts(
    dicts: Sequence[dict[str, Any]], name: str, num_classes: int, max_instances: int | None = None
) -> None:
    """Refuse a data set that cannot be used, and say what is odd about one that can.

    Logged, not refused: images without an object, images with more than ``max_instances``.

    Args:
        dicts: Detectron2's standard dicts.
        name: of the data set, for the messages.
        num_classes: category ids must be in [0, num_classes).
        max_instances: the most objects that the model can find; None for no limit.

    Raises:
        UserError: no image at all, an image file is missing, an annotation without a mask, a mask
            whose size is not the image's, or a class out of range.
    """
    if not dicts:
        raise UserError(
            f"{name}: found no image to use; check the folder, and the filters (number of objects, "
            "DATALOADER.FILTER_EMPTY_ANNOTATIONS)."
        )
    counts = [_check_dict(d, name, num_classes) for d in dicts]
    empty = sum(c == 0 for c in counts)
    if empty:
        logger.warning("%s: %d of %d images have no object.", name, empty, len(dicts))
    if max_instances is not None and max(counts) > max_instances:
        logger.warning(
            "%s: %d of %d images have more than %d objects (up to %d); only the largest are used. "
            "MODEL.RECURRENT.STEPS sets the limit.",
            name, sum(c > max_instances for c in counts), len(dicts), max_instances, max(counts),
        )  # fmt: skip


def _check_dict(record: dict[str, Any], name: str, num_classes: int) -> int:
    """Check one image's dict; returns the number of its objects."""
    file_name = record["file_name"]
    if not PathManager.isfile(file_name):
        raise UserError(f"{name}: no image file {file_name}; check the path in the annotations.")
    objects = [a for a in record.get("annotations", []) if not a.get("iscrowd", 0)]
    for annotation in objects:
        category = annotation["category_id"]
        if not 0 <= category < num_classes:
            raise UserError(
                f"{name}: {file_name}: found category_id {category}, expected 0 to "
                f"{num_classes - 1}; set MODEL.RECURRENT.NUM_CLASSES to the data set's number of "
                "classes."
            )
        segmentation = annotation.get("segmentation")
        if segmentation is None or (isinstance(segmentation, list) and not segmentation):
            raise UserError(
                f"{name}: {file_name}: found an annotation without a segmentation; boxes alone "
                "cannot train masks."
            )
        _check_mask_size(record, segmentation, f"{name}: {file_name}")
    return len(objects)


def _check_mask_size(record: dict[str, Any], segmentation: Any, where: str) -> None:
    expected = (record.get("height"), record.get("width"))
    if None in expected or not isinstance(segmentation, dict):
        return
    found = tuple(segmentation["size"])
    if found != expected:
        raise UserError(
            f"{where}: found a mask of {found[1]}x{found[0]} pixels, expected the image's "
            f"{expected[1]}x{expected[0]}; annotate the image at its own size."
        )
