"""Annotation files in COCO's form: the one place where they are read.

What is unambiguous is taken: ids and sizes that were written as text, flags as booleans or null.
Everything else that is not as COCO has it is refused with the place in the file.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from recseg_d2.errors import UserError

ImageId = int | str

_KEYS = {
    "images": ("id", "file_name", "height", "width"),
    "annotations": ("id", "image_id", "category_id"),
    "categories": ("id", "name"),
}
_FORM = "expected COCO's instance annotations"
_FLAGS = {0: False, 1: True, "0": False, "1": True, None: False}
_LETTERS = 40  # of a value in a message
_SHOWN = 3  # ids in a message
_MOST_PIXELS = 2**31  # of an image

T = TypeVar("T")


class CocoImageEntry(NamedTuple):
    """An entry of "images"; the size is in pixels, above 0."""

    id: ImageId
    file_name: str
    height: int
    width: int


class CocoObject(NamedTuple):
    """An entry of "annotations".

    Attributes:
        id: of the annotation, for messages.
        image_id: an id of "images", unless the file is wrong.
        category_id: an id of "categories", unless the file is wrong.
        segmentation: as it is in the file, see ``segmentations``.
        bbox: x, y, width, height; None where the file has none.
        is_crowd: whether it is a region of several objects.
    """

    id: Any
    image_id: ImageId
    category_id: int
    segmentation: Any
    bbox: list[float] | None
    is_crowd: bool


@dataclass(frozen=True)
class CocoContents:
    """What an annotation file says.

    Attributes:
        images: by their ids, in the file's order.
        objects: all annotations, in the file's order.
        categories: names by ids, in the file's order.
    """

    images: Mapping[ImageId, CocoImageEntry]
    objects: list[CocoObject]
    categories: Mapping[int, str]


def read_coco_json(path: Path) -> CocoContents:
    """The contents of an annotation file in COCO's form; masks are not looked at.

    Raises:
        UserError: the file is missing or no JSON, a list or key that is needed is missing or of
            another type, or an id occurs twice.
    """
    contents = _load(path)
    for name, keys in _KEYS.items():
        for number, entry in enumerate(contents[name]):
            _check_keys(entry, keys, f"{path}: {name}[{number}]")
    images = _parse(path, contents, "images", _image)
    categories = _parse(path, contents, "categories", _category)
    _check_unique(path, "image", (image.id for image in images))
    _check_unique(path, "category", (number for number, _ in categories))
    objects = _parse(path, contents, "annotations", _object)
    return CocoContents({image.id: image for image in images}, objects, dict(categories))


def _load(path: Path) -> dict[str, list[Any]]:
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; put COCO's annotations there, or set DETECTRON2_DATASETS to "
            "the folder above coco/."
        )
    try:
        contents = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: no readable JSON ({error}); copy it again.") from error
    missing = [k for k in _KEYS if not isinstance(contents, dict) or k not in contents]
    if missing:
        raise UserError(f"{path}: has no {', '.join(missing)}; {_FORM}.")
    for name in _KEYS:
        if not isinstance(contents[name], list):
            raise UserError(f"{path}: found {name} {_short(contents[name])}; {_FORM}, a list.")
    return contents


def _check_keys(entry: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(entry, dict):
        raise UserError(f"{where} is {_short(entry)}; {_FORM}.")
    lacking = [key for key in keys if key not in entry]
    if lacking:
        raise UserError(f"{where} has no {', '.join(lacking)}; {_FORM}.")


def _parse(
    path: Path, contents: dict[str, list[Any]], name: str, parse: Callable[[dict[str, Any]], T]
) -> list[T]:
    parsed = []
    for number, entry in enumerate(contents[name]):
        try:
            parsed.append(parse(entry))
        except UserError as error:
            which = f" (annotation {_short(entry['id'])})" if name == "annotations" else ""
            raise UserError(f"{path}: {name}[{number}]{which}: {error}") from error
    return parsed


def _image(entry: dict[str, Any]) -> CocoImageEntry:
    height, width = (_side(entry, key) for key in ("height", "width"))
    if height * width > _MOST_PIXELS:
        raise UserError(f"found an image of {width}x{height} pixels, which is too large.")
    return CocoImageEntry(_image_id(entry, "id"), _text(entry, "file_name"), height, width)


def _category(entry: dict[str, Any]) -> tuple[int, str]:
    return _whole(entry, "id"), _text(entry, "name")


def _object(entry: dict[str, Any]) -> CocoObject:
    return CocoObject(
        _short(entry["id"]),
        _image_id(entry, "image_id"),
        _whole(entry, "category_id"),
        entry.get("segmentation"),
        _box(entry),
        _flag(entry),
    )


def _whole(entry: dict[str, Any], key: str) -> int:
    """A whole number, be it written as text or with a fraction of 0."""
    value = entry[key]
    number = _as_whole(value)
    if number is None:
        raise UserError(f"found {key} {_short(value)}, expected a whole number.")
    return number


def _as_whole(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _image_id(entry: dict[str, Any], key: str) -> ImageId:
    """A whole number, or text that is none."""
    number = _as_whole(entry[key])
    return (
        _text(entry, key)
        if number is None and isinstance(entry[key], str)
        else (_whole(entry, key))
    )


def _side(entry: dict[str, Any], key: str) -> int:
    number = _as_whole(entry[key])
    if number is None or number < 1:
        raise UserError(
            f"found {key} {_short(entry[key])}, expected the image's size in pixels, above 0."
        )
    return number


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not value or not _is_encodable(value):
        raise UserError(f"found {key} {_short(value)}, expected text.")
    return value


def _is_encodable(text: str) -> bool:
    """Whether a file may be called so; halves of characters and 0 may be in JSON's texts."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _flag(entry: dict[str, Any]) -> bool:
    value = entry.get("iscrowd")
    if not isinstance(value, (int, str, type(None))) or value not in _FLAGS:
        raise UserError(f"found iscrowd {_short(value)}, expected 0 or 1.")
    return _FLAGS[value]


def _box(entry: dict[str, Any]) -> list[float] | None:
    value = entry.get("bbox")
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_finite, value)):
        raise UserError(f"found bbox {_short(value)}, expected [x, y, width, height] in pixels.")
    return value


def _is_finite(value: Any) -> bool:
    """Whether it is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max


def _check_unique(path: Path, what: str, ids: Any) -> None:
    repeated = [i for i, count in Counter(ids).items() if count > 1]
    if repeated:
        shown = ", ".join(map(_short, repeated[:_SHOWN])) + " ..." * (len(repeated) > _SHOWN)
        raise UserError(
            f"{path}: found {len(repeated)} {what} id(s) more than once ({shown}); give every "
            f"{what} its own, so that annotations say which they belong to."
        )


def _short(value: Any) -> str:
    """A value as JSON has it, shortened."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = repr(type(value).__name__)
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."
