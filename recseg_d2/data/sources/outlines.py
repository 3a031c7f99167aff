"""Data sets of an image and a file of outlines each, by whichever program.

Classes are numbered in the order of the alphabet, or as the data names them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from recseg_d2.data.annotations import annotation_of
from recseg_d2.data.io.images import image_size
from recseg_d2.data.problems import Problem, Record
from recseg_d2.data.segmentations import read_segmentation
from recseg_d2.data.sources.base import SIGNS, DataSource
from recseg_d2.errors import UserError


class Outline(NamedTuple):
    """An object of a file.

    Attributes:
        name: name of its class.
        polygons: x and y by turns, pixels; parts of the object.
    """

    name: str
    polygons: list[list[float]]


class OutlinedImage(NamedTuple):
    """The files of an image; without the second there is no object in it."""

    image_id: str
    image: Path
    file: Path | None


@dataclass(frozen=True)
class OutlineFiles(DataSource[OutlinedImage]):
    """A subclass has ``find``, ``classes`` and ``outlines``."""

    @abstractmethod
    def classes(self) -> Sequence[str]:
        """Names of the classes, in the order of their numbers."""

    @abstractmethod
    def outlines(self, file: Path, size: tuple[int, int]) -> tuple[list[Outline], list[str]]:
        """The objects of a file, and what is wrong with those that are left out.

        Args:
            file: the annotation file of an image.
            size: height and width of the image in pixels.

        Raises:
            UserError: it cannot be read.
        """

    def read(self, item: OutlinedImage) -> Record:
        """The standard dict; objects without three points are left out."""
        size = image_size(item.image)
        record: dict[str, Any] = {
            "file_name": str(item.image),
            "height": size[0],
            "width": size[1],
            "image_id": item.image_id,
            "annotations": [],
        }
        if item.file is None:
            return record
        outlines, wrong = self.outlines(item.file, size)
        numbers = {name: number for number, name in enumerate(self.classes())}
        for number, outline in enumerate(outlines, start=1):
            mask = read_segmentation(outline.polygons, size, f"{item.file}: object {number}")
            if mask is None:
                wrong.append(f"object {number} has no three points: left out.")
            else:
                annotation = annotation_of(mask, size, numbers[outline.name])
                record["annotations"].append(annotation)
        return {**record, SIGNS: [Problem(str(item.file), text, warning=True) for text in wrong]}

    def suspicions(self, records: Sequence[Record]) -> list[Problem]:
        """Objects that are left out."""
        return [problem for record in records for problem in record.get(SIGNS, [])]

    def file_of(self, item: OutlinedImage) -> str:
        """Path of the image file."""
        return str(item.image)

    def metadata(self) -> dict[str, Any]:
        """The classes, scored as COCO's."""
        return {"thing_classes": list(self.classes()), "evaluator_type": "coco"}


def some_classes(names: Sequence[str], place: Path) -> list[str]:
    """Class names, refused where there is none.

    Raises:
        UserError: no object has a class.
    """
    if not names:
        raise UserError(f"{place}: found no object, expected some with the name of a class.")
    return list(names)
