"""Data in YOLO's form for segmentation.

    images/**/X.jpg    the images
    labels/**/X.txt    a line an object: the class's number, then x and y by turns, as shares of
                       the image's width and height; no file, or an empty one, is no object
    data.yaml          "names" of the classes, in the folder or above it

Lines of four numbers are boxes, which cannot train masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recseg_d2.data.io.image_files import IMAGE_EXTENSIONS
from recseg_d2.data.io.pairing import files_by_stem
from recseg_d2.data.sources.outlines import Outline, OutlinedImage, OutlineFiles, some_classes
from recseg_d2.errors import UserError

_IMAGES, _LABELS = "images", "labels"
_ENDING = (".txt",)
_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
_LEVELS = 3  # folders, from that of the images up, in which the names are looked for


@dataclass(frozen=True)
class Yolo(OutlineFiles):
    """All images of a folder.

    Attributes:
        image_dir: the folder of the images.
        label_dir: the folder of the text files, which have the images' stems.
    """

    image_dir: Path
    label_dir: Path

    @property
    def place(self) -> Path:
        """The folder of the images."""
        return self.image_dir

    def find(self) -> list[OutlinedImage]:
        """The images in the order of their names."""
        images = files_by_stem(self.image_dir, "", IMAGE_EXTENSIONS, nested=True)
        if not images:
            raise UserError(
                f"{self.image_dir}: found no image, expected those of {self.label_dir}."
            )
        files = self._files
        return [OutlinedImage(stem, path, files.get(stem)) for stem, path in images.items()]

    @cached_property
    def _files(self) -> dict[str, Path]:
        return files_by_stem(self.label_dir, "", _ENDING, nested=True)

    @cached_property
    def _names(self) -> list[str]:
        names = _names_from_yaml(self.image_dir)
        if names is not None:
            return names
        numbers = [n for file in self._files.values() for n, _ in _lines(file)]
        return [str(n) for n in range(max(numbers, default=-1) + 1)]

    def classes(self) -> list[str]:
        """The names of ``data.yaml``, else the numbers."""
        return some_classes(self._names, self.label_dir)

    def outlines(self, file: Path, size: tuple[int, int]) -> tuple[list[Outline], list[str]]:
        """The objects of a file in pixels."""
        names, found = self.classes(), []
        for number, shares in _lines(file):
            if number >= len(names):
                raise UserError(
                    f"{file}: found class {number}, expected 0 to {len(names) - 1} "
                    f"({', '.join(names[:3])}...)."
                )
            pixels = np.asarray(shares) * np.tile(size[::-1], len(shares) // 2)
            found.append(Outline(names[number], [pixels.tolist()]))
        return found, []


def yolo_layout(place: Path) -> tuple[Path, Path] | None:
    """The folders of images and of text files in, or for, a folder; None where it is no YOLO's.

    A folder "A/images/B" goes with "A/labels/B".
    """
    parts = list(place.parts)
    candidates = [(place / _IMAGES, place / _LABELS)]
    if _IMAGES in parts:
        last = len(parts) - 1 - parts[::-1].index(_IMAGES)
        candidates.append((place, Path(*parts[:last], _LABELS, *parts[last + 1 :])))
    for images, labels in candidates:
        if images.is_dir() and labels.is_dir() and _has_only_texts(labels):
            return images, labels
    return None


def _has_only_texts(folder: Path) -> bool:
    endings = {p.suffix.lower() for p in folder.rglob("*") if p.is_file() and p.name[0] != "."}
    return ".txt" in endings and endings.isdisjoint(IMAGE_EXTENSIONS)


def _lines(file: Path) -> list[tuple[int, list[float]]]:
    """Class and shares of each line."""
    found = []
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as text ({error}).") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            kind, *shares = map(float, line.split())
        except ValueError as error:
            raise UserError(f"{file}, line {number}: found {line[:40]!r}; {_FORM}") from error
        if len(shares) == 4:
            raise UserError(
                f"{file}, line {number}: found a box (four numbers behind the class); boxes alone "
                "cannot train masks: export the outlines."
            )
        if kind < 0 or kind != int(kind) or len(shares) % 2 or not _are_shares(shares):
            raise UserError(f"{file}, line {number}: found {line[:40]!r}; {_FORM}")
        found.append((int(kind), shares))
    return found


_FORM = "expected the class's number, then x and y by turns as shares of the image, 0 to 1."


def _are_shares(values: list[float]) -> bool:
    return all(-1 <= value <= 2 for value in values)  # outlines may leave the image


def _names_from_yaml(folder: Path) -> list[str] | None:
    """The classes that the nearest ``data.yaml`` names; None where there is none."""
    above = [folder, *folder.resolve().parents][: _LEVELS + 1]
    files = [place / name for place in above for name in _NAMES if (place / name).is_file()]
    if not files:
        return None
    try:
        contents: Any = yaml.safe_load(files[0].read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{files[0]}: no readable YAML ({error}).") from error
    names = contents.get("names") if isinstance(contents, dict) else None
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in sorted(names)]
    if not isinstance(names, list) or not names:
        raise UserError(
            f"{files[0]}: found names {str(names)[:60]}, expected those of the classes."
        )
    return [str(name) for name in names]
