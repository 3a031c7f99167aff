"""Whole data sets in the formats, laid out so that this package and others read them."""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from detectron2.utils.file_io import PathManager

from recseg_d2 import rle
from recseg_d2.data.formats import FILE_FORMATS, file_formats
from recseg_d2.data.formats.base import ImageObjects
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder, write_whole


class DataSetWriter(ABC):
    """Writes one image after another into a folder.

    Args:
        folder: made where it is missing.
        classes: names, in the order of their numbers.
    """

    def __init__(self, folder: str | Path, classes: Sequence[str]) -> None:
        self.folder, self.classes = make_folder(folder), list(classes)
        self._stems: dict[str, str] = {}

    def add(self, found: ImageObjects, source: str) -> None:
        """Write the objects of an image, and copy the image.

        Raises:
            UserError: another image had the same stem.
        """
        stem = Path(found.file_name).stem
        if self._stems.setdefault(stem, source) != source:
            raise UserError(
                f"{source} and {self._stems[stem]} would both be stored as {stem!r}; rename one."
            )
        image = self.image_path(found.file_name)
        make_folder(image.parent)
        with PathManager.open(source, "rb") as original, write_whole(image, "wb") as copy:
            shutil.copyfileobj(original, copy)
        self.write(found, stem)

    @abstractmethod
    def image_path(self, name: str) -> Path:
        """Where an image goes."""

    @abstractmethod
    def write(self, found: ImageObjects, stem: str) -> None:
        """Write the objects of an image."""

    @abstractmethod
    def finish(self) -> None:
        """Write what belongs to all images together."""


class Files(DataSetWriter):
    """A file an image, in a folder of its own or beside the images.

    Args:
        folder: see ``DataSetWriter``.
        classes: see ``DataSetWriter``.
        format_name: one of ``FILE_FORMATS``.
        bits: of label maps, see ``file_formats``.
    """

    def __init__(
        self,
        folder: str | Path,
        classes: Sequence[str],
        format_name: str,
        bits: int | None = None,
    ) -> None:
        super().__init__(folder, classes)
        self.format_name, self._format = format_name, file_formats(bits)[format_name]
        self._beside = format_name in _BESIDE
        self._files = self.folder if self._beside else make_folder(self.folder / "labels")

    def image_path(self, name: str) -> Path:
        """In images/, or in the folder itself."""
        return self.folder / name if self._beside else self.folder / "images" / name

    def write(self, found: ImageObjects, stem: str) -> None:
        """Write the file."""
        self._format.write(found, self._files / f"{stem}{self._format.ending}")

    def finish(self) -> None:
        """Write the names of the classes, where the files have numbers."""
        if self.format_name == "yolo":
            contents = {"path": ".", "train": "images", "val": "images", "names": self.classes}
            with write_whole(self.folder / "data.yaml") as file:
                yaml.safe_dump(contents, file, sort_keys=False, allow_unicode=True)


class ObjectMaskFolders(DataSetWriter):
    """A folder an image, with images/ and masks/."""

    def image_path(self, name: str) -> Path:
        """In the images/ of the image's folder."""
        return self.folder / Path(name).stem / "images" / name

    def write(self, found: ImageObjects, stem: str) -> None:
        """Write the masks."""
        FILE_FORMATS["masks"].write(found, self.folder / stem / "masks")

    def finish(self) -> None:
        """Nothing is left to write."""


class CocoFileWriter(DataSetWriter):
    """images/ and annotations/instances.json, with RLE masks."""

    def __init__(self, folder: str | Path, classes: Sequence[str]) -> None:
        super().__init__(folder, classes)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def image_path(self, name: str) -> Path:
        """In images/."""
        return self.folder / "images" / name

    def write(self, found: ImageObjects, stem: str) -> None:
        """Keep the objects for the file."""
        number = len(self._images) + 1
        height, width = found.size
        self._images.append(
            {"id": number, "file_name": found.file_name, "height": height, "width": width}
        )
        boxes = rle.boxes([one.mask for one in found.objects]).tolist() if found.objects else []
        areas = rle.areas([one.mask for one in found.objects]).tolist()
        for one, box, area in zip(found.objects, boxes, areas, strict=True):
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": number,
                    "category_id": one.category + 1,
                    "segmentation": one.mask,
                    "bbox": box,
                    "area": area,
                    "iscrowd": 0,
                }
            )

    def finish(self) -> None:
        """Write the file."""
        contents = {
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": n, "name": name} for n, name in enumerate(self.classes, 1)],
        }
        with write_whole(self.folder / "annotations" / "instances.json") as file:
            json.dump(contents, file)


_BESIDE = ("cellpose", "labelme", "geojson", "imagej")
DATA_SET_FORMATS = (*FILE_FORMATS, "coco")


def open_writer(
    name: str, folder: str | Path, classes: Sequence[str], bits: int | None = None
) -> DataSetWriter:
    """The writer of one of ``DATA_SET_FORMATS``; ``bits`` of label maps as in ``file_formats``.

    Raises:
        UserError: the folder cannot be made.
    """
    if name == "coco":
        return CocoFileWriter(folder, classes)
    if name == "masks":
        return ObjectMaskFolders(folder, classes)
    return Files(folder, classes, name, bits)
