"""Data drawn with labelme: a JSON file beside each image.

Polygons, rectangles and circles are objects; shapes of one "group_id" and label are one object.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recseg_d2.data.io.image_folder import image_path
from recseg_d2.data.sources.outlines import Outline, OutlinedImage, OutlineFiles, some_classes
from recseg_d2.errors import UserError

_CIRCLE_CORNERS = 64  # of the polygon that a circle is drawn as


@dataclass(frozen=True)
class Labelme(OutlineFiles):
    """All images of a folder that have a file.

    Attributes:
        folder: the folder that has the images and their annotation files.
        allow_outside: take images outside of it, see ``io.image_folder.image_path``.
    """

    folder: Path
    allow_outside: bool = field(default=False, kw_only=True)

    @property
    def place(self) -> Path:
        """The folder, which messages name."""
        return self.folder

    @cached_property
    def _contents(self) -> dict[Path, dict[str, Any]]:
        return {file: _read(file) for file in labelme_files(self.folder)}

    def find(self) -> list[OutlinedImage]:
        """An image for each file, which its "imagePath" names."""
        return [
            OutlinedImage(file.stem, self._image(file, contents), file)
            for file, contents in self._contents.items()
        ]

    def classes(self) -> list[str]:
        """All labels, in the order of the alphabet."""
        names = {str(s["label"]) for c in self._contents.values() for s in c["shapes"]}
        return some_classes(sorted(names), self.folder)

    def outlines(self, file: Path, size: tuple[int, int]) -> tuple[list[Outline], list[str]]:
        """The shapes of a file; those without an area are left out."""
        objects: dict[Any, Outline] = {}
        wrong = []
        for number, shape in enumerate(self._contents[file]["shapes"], start=1):
            corners = _corners(shape, f"{file}: shape {number}")
            if corners is None:
                kind = shape.get("shape_type")
                wrong.append(f"shape {number} ({shape['label']}) is a {kind}: left out.")
                continue
            group = shape.get("group_id")
            key = ("shape", number) if group is None else ("group", str(group), shape["label"])
            objects.setdefault(key, Outline(str(shape["label"]), [])).polygons.append(corners)
        return list(objects.values()), wrong

    def _image(self, file: Path, contents: dict[str, Any]) -> Path:
        try:
            return image_path(file.parent, contents["imagePath"], self.allow_outside)
        except UserError as error:
            raise UserError(f"{file}: {error}") from error


def labelme_files(folder: Path) -> list[Path]:
    """The JSON files of a folder that have shapes and an image."""
    if not folder.is_dir():
        return []
    return [
        file
        for file in sorted(folder.glob("*.json"))
        if not file.name.startswith(".") and _is_labelme(file)
    ]


def _is_labelme(file: Path) -> bool:
    try:
        contents = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(contents, dict) and {"shapes", "imagePath"} <= contents.keys()


def _read(file: Path) -> dict[str, Any]:
    contents = json.loads(file.read_bytes())
    shapes, image = contents["shapes"], contents["imagePath"]
    if not isinstance(image, str) or "\0" in image or not image:
        raise UserError(f"{file}: found imagePath {image!r}, expected a file's name.")
    if not isinstance(shapes, list) or not all(
        isinstance(s, dict) and isinstance(s.get("label"), (str, int)) for s in shapes
    ):
        raise UserError(f"{file}: found shapes without labels, expected labelme's.")
    return contents


def _corners(shape: dict[str, Any], source: str) -> list[float] | None:
    """A polygon as x and y by turns; None for what has no area."""
    kind = shape.get("shape_type") or "polygon"
    points = _points(shape.get("points"), source)
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        return [left, top, right, top, right, bottom, left, bottom]
    if kind == "circle" and len(points) == 2:
        middle, edge = points
        angles = np.arange(_CIRCLE_CORNERS) * 2 * math.pi / _CIRCLE_CORNERS
        around = middle + math.dist(middle, edge) * np.stack([np.cos(angles), np.sin(angles)], 1)
        return around.ravel().tolist()
    return points.ravel().tolist() if kind == "polygon" else None


def _points(points: Any, source: str) -> np.ndarray:
    """(N, 2) float64."""
    try:
        found = np.asarray(points)
    except ValueError:
        found = np.asarray(None)
    if found.size == 0:
        return np.zeros((0, 2))
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.kind not in "iuf":
        raise UserError(f"{source}: found points {str(points)[:60]}, expected [x, y] of each.")
    return found.astype(float)
