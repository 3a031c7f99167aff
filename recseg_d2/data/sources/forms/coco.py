"""Annotation files in COCO's form, named or the only one in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recseg_d2.data.io.coco_json import read_coco_json
from recseg_d2.data.io.image_folder import find_image_folder
from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.coco import Coco
from recseg_d2.data.sources.forms.base import Form, Reading
from recseg_d2.errors import UserError

_KEYS = {"images", "annotations"}
_LARGEST = 10_000_000  # bytes of a file that is read to see of what form it is; others are COCO's


class CocoFile(Form):
    """A file in COCO's form, whose images are where ``find_image_folder`` finds them."""

    words = "a .json file in COCO's form (or a folder with one, as Roboflow and CVAT export it)"

    def recognises(self, place: Path) -> bool:
        """Whether it is a JSON file, or a folder with such files of COCO's form."""
        return (place.is_file() and place.suffix.lower() == ".json") or bool(_files_in(place))

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """The whole of the file, images without objects included."""
        reading.refuse_label_options(place, self.words)
        file = _only_file(place)
        contents = read_coco_json(file)
        classes = tuple(dict.fromkeys(name for _, name in sorted(contents.categories.items())))
        if not classes or not contents.images:
            counts = f"{len(contents.images)} images and {len(classes)} categories"
            raise UserError(f"{file}: found {counts}, expected one or more of both.")
        names = [image.file_name for image in contents.images.values()]
        outside = reading.allow_outside
        folder = find_image_folder(file, names, outside)
        options = {**selection, "only_with_objects": False, "allow_outside": outside}
        return Coco(name, file, folder, classes, **options)


def _only_file(place: Path) -> Path:
    if place.is_file():
        return place
    files = _files_in(place)
    if len(files) > 1:
        named = ", ".join(map(str, files))
        raise UserError(f"{place}: found a folder with {named}: name one of the files.")
    return files[0]


def _files_in(place: Path) -> list[Path]:
    """Files of COCO's form in a folder, or in the folder "annotations" of it."""
    if not place.is_dir():
        return []
    found = [p for part in (place, place / "annotations") for p in sorted(part.glob("*.json"))]
    return [p for p in found if not p.name.startswith(".") and _is_coco(p)]


def _is_coco(file: Path) -> bool:
    if file.stat().st_size > _LARGEST:
        return True
    try:
        contents = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(contents, dict) and contents.keys() >= _KEYS
