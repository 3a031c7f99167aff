"""Data with a folder an image and a mask an object, as of the Data Science Bowl 2018.

    ID/images/*.png    one image
    ID/masks/*.png     a mask an object: what is not 0 is the object

Masks may overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from recseg_d2.data.annotations import annotation_of
from recseg_d2.data.io.image_files import is_image_name
from recseg_d2.data.io.images import image_size, read_image
from recseg_d2.data.problems import Record
from recseg_d2.data.segmentations import read_segmentation, to_rle
from recseg_d2.data.sources.base import ONE_CLASS, DataSource
from recseg_d2.errors import UserError

_IMAGES, _MASKS = "images", "masks"


@dataclass(frozen=True)
class ObjectMasks(DataSource[Path]):
    """All images of a folder, in the order of their folders' names.

    Attributes:
        folder: the folder that has the images' folders, or a single folder with them.
    """

    folder: Path
    METADATA: ClassVar = {"thing_classes": (ONE_CLASS,), "evaluator_type": "label_map"}

    @property
    def place(self) -> Path:
        """The folder, which messages name."""
        return self.folder

    def find(self) -> list[Path]:
        """The images' folders."""
        return find_image_folders(self.folder)

    def read(self, item: Path) -> Record:
        """The standard dict; every mask has to have the image's size."""
        image = self._image(item)
        size = image_size(image)
        annotations = []
        for path in _images_in(item / _MASKS):
            pixels = read_image(path)
            mask = read_segmentation(pixels.any(axis=2), size, str(path))
            assert mask is not None  # an array is one
            if not pixels.any():
                raise UserError(f"{path}: found a mask without a pixel, expected an object.")
            annotations.append(annotation_of(to_rle(mask, size), size, 0))
        return {
            "file_name": str(image),
            "height": size[0],
            "width": size[1],
            "image_id": item.name,
            "annotations": annotations,
        }

    def file_of(self, item: Path) -> str:
        """The image's folder."""
        return str(item)

    def metadata(self) -> dict[str, Any]:
        """One class, scored as label maps are."""
        return dict(self.METADATA)

    @staticmethod
    def _image(item: Path) -> Path:
        found = _images_in(item / _IMAGES)
        if len(found) != 1:
            raise UserError(f"{item / _IMAGES}: found {len(found)} images, expected one.")
        return found[0]


def find_image_folders(place: Path) -> list[Path]:
    """The folders with images/ and masks/ in a folder, or in the only folder in it."""
    if not place.is_dir():
        return []
    within = [p for p in sorted(place.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    found = [p for p in within if (p / _IMAGES).is_dir() and (p / _MASKS).is_dir()]
    return find_image_folders(within[0]) if not found and len(within) == 1 else found


def _images_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if is_image_name(p))
