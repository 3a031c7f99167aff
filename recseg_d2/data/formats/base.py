"""What is written of an image, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recseg_d2 import rle
from recseg_d2.data.annotations import segmentation_to_rle


class SavedObject(NamedTuple):
    """An object: its mask, the number of its class, and its score where it was predicted."""

    mask: rle.RLE
    category: int = 0
    score: float | None = None


@dataclass(frozen=True)
class ImageObjects:
    """An image and its objects.

    Attributes:
        file_name: name of the image's file, without a folder.
        size: the image's height and width, pixels.
        objects: in the order in which they are numbered, from 1.
        classes: their names, in the order of their numbers.
    """

    file_name: str
    size: tuple[int, int]
    objects: Sequence[SavedObject]
    classes: Sequence[str] = ("object",)

    @classmethod
    def of_record(cls, record: Mapping[str, Any], classes: Sequence[str]) -> ImageObjects:
        """Those of a standard dict; crowds are left out."""
        size = record["height"], record["width"]
        name = Path(record["file_name"]).name
        objects = [
            SavedObject(segmentation_to_rle(a["segmentation"], size, name), a["category_id"])
            for a in record.get("annotations", [])
            if not a.get("iscrowd", 0)
        ]
        return cls(name, size, objects, classes)

    def name_of(self, found: SavedObject) -> str:
        """The class of an object."""
        known = found.category < len(self.classes)
        return self.classes[found.category] if known else str(found.category)

    def label_map(self) -> np.ndarray:
        """(H, W) int32: 0 is background, k the k-th object; smaller ones lie over larger ones."""
        labels = np.zeros(self.size, np.int32)
        areas = rle.areas([found.mask for found in self.objects])
        for k in np.argsort(-areas, kind="stable"):
            labels[rle.decode(self.objects[k].mask) > 0] = k + 1
        return labels


@dataclass(frozen=True)
class FileFormat:
    """A format with a file for each image.

    Attributes:
        ending: of the files' names, behind the image's stem.
        write: writes the file, or the folder, of an image to a path whose folder is there.
    """

    ending: str
    write: Callable[[ImageObjects, Path], None]
