"""Checks of standard dicts before training starts.

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


def check_dataset_dicts(dicts: Sequence[dict[str, Any]], name: str, num_classes: int) -> None:
    """Refuse a data set that cannot be used.

    Args:
        dicts: Detectron2's standard dicts.
        name: of the data set, for the messages.
        num_classes: category ids must be in [0, num_classes).

    Raises:
        UserError: no image at all, an image file is missing, an annotation without a mask, a mask
            whose size is not the image's, or a class out of range.
    """
    if not dicts:
        raise UserError(
            f"{name}: found no image to use; check the folder, and the filters (number of objects, "
            "DATALOADER.FILTER_EMPTY_ANNOTATIONS)."
        )
    for record in dicts:
        _check_dict(record, name, num_classes)


def report_oddities(dicts: Sequence[dict[str, Any]], name: str, max_instances: int | None) -> None:
    """Log what is odd about a data set that can be used.

    That is images without an object, and images with more than ``max_instances``, the most that the
    model can find (None: any number). Crowds do not count.
    """
    counts = [len(_objects(record)) for record in dicts]
    empty = sum(c == 0 for c in counts)
    if empty:
        logger.warning("%s: %d of %d images have no object.", name, empty, len(dicts))
    most = max(counts, default=0)
    if max_instances is not None and most > max_instances:
        logger.warning(
            "%s: %d of %d images have more than %d objects (up to %d, %s); only the largest are "
            "used. MODEL.RECURRENT.STEPS sets the limit.",
            name, sum(c > max_instances for c in counts), len(dicts), max_instances, most,
            dicts[counts.index(most)]["file_name"],
        )  # fmt: skip


def _objects(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [a for a in record.get("annotations", []) if not a.get("iscrowd", 0)]


def _check_dict(record: dict[str, Any], name: str, num_classes: int) -> None:
    """Check one image's dict."""
    file_name = record["file_name"]
    if not PathManager.isfile(file_name):
        raise UserError(f"{name}: no image file {file_name}; check the path in the annotations.")
    for annotation in _objects(record):
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
