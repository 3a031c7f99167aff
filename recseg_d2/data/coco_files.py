"""Annotation files in COCO's form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recseg_d2.errors import UserError

_FEWEST_NUMBERS = 6  # of a polygon: three points
_KEYS = {
    "images": ("id", "file_name", "height", "width"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def usable_segmentation(annotation: dict[str, Any]) -> Any:
    """As it is but for polygons of less than three points; empty or None where none is left."""
    found = annotation.get("segmentation")
    if isinstance(found, list):
        return [p for p in found if len(p) >= _FEWEST_NUMBERS and not len(p) % 2]
    return found


def no_mask(annotation: dict[str, Any]) -> str:
    """What to say of an annotation without a usable segmentation."""
    return f"annotation {annotation['id']} has no mask: left out."


def read_coco_json(path: Path) -> dict[str, Any]:
    """The contents of an annotation file in COCO's form.

    Raises:
        UserError: the file is missing, no JSON, or lacks a list or a key that is needed.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; put COCO's annotations there, or set DETECTRON2_DATASETS to "
            "the folder above coco/."
        )
    try:
        contents = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: no readable JSON ({error}); copy it again.") from error
    missing = [k for k in _KEYS if not isinstance(contents, dict) or k not in contents]
    if missing:
        raise UserError(
            f"{path}: has no {', '.join(missing)}; expected COCO's instance annotations."
        )
    for name, keys in _KEYS.items():
        for number, entry in enumerate(contents[name]):
            lacking = [key for key in keys if key not in entry]
            if lacking:
                raise UserError(
                    f"{path}: {name}[{number}] has no {', '.join(lacking)}; expected COCO's "
                    "instance annotations."
                )
    return contents
