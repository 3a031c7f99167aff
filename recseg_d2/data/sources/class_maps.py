"""Images with a label map for each class of objects.

    images/X.png             an image
    labels/CLASS/X.png       label map of its objects of that class; without one there is none

Objects of different classes may overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.io.image_files import IMAGE_EXTENSIONS
from recseg_d2.data.io.images import image_size
from recseg_d2.data.io.label_maps import LABEL_EXTENSIONS, read_label_map
from recseg_d2.data.io.pairing import files_by_stem
from recseg_d2.data.problems import Record
from recseg_d2.data.sources.base import DataSource
from recseg_d2.errors import UserError


@dataclass(frozen=True)
class ClassMaps(DataSource[str]):
    """All images of a folder, in the order of their names.

    Attributes:
        image_dir: the folder of the images.
        label_dir: the folder that has a folder a class.
    """

    image_dir: Path
    label_dir: Path

    @property
    def place(self) -> Path:
        """The folder of the images."""
        return self.image_dir

    def find(self) -> list[str]:
        """The stems of the images.

        Raises:
            UserError: there is none, or a label map has no image.
        """
        if not self._images:
            raise UserError(f"{self.image_dir}: found no image.")
        for maps in self._maps.values():
            for stem in sorted(maps.keys() - self._images.keys()):
                raise UserError(f"{maps[stem]}: found no image of its name in {self.image_dir}.")
        return list(self._images)

    def read(self, item: str) -> Record:
        """The standard dict; every label map has to have the image's size."""
        image = self._images[item]
        size = image_size(image)
        record: dict[str, Any] = {
            "file_name": str(image),
            "height": size[0],
            "width": size[1],
            "image_id": item,
            "annotations": [],
        }
        files = [maps.get(item) for maps in self._maps.values()]
        if not any(files):
            raise UserError(
                f"{image}: found no label map, expected one in a folder of {self.label_dir} (all 0 "
                "where there is no object)."
            )
        for category, path in enumerate(files):
            if path is not None:
                labels = read_label_map(path)
                if labels.shape != size:
                    raise UserError(
                        f"{path}: found {labels.shape[1]}x{labels.shape[0]} pixels, expected the "
                        f"{size[1]}x{size[0]} of {image}."
                    )
                found = label_map_to_annotations(labels)
                record["annotations"] += [{**one, "category_id": category} for one in found]
        return record

    def file_of(self, item: str) -> str:
        """Path of the image file."""
        return str(self._images[item])

    def metadata(self) -> dict[str, Any]:
        """The names of the folders, scored as COCO's."""
        return {"thing_classes": list(self._maps), "evaluator_type": "coco"}

    @cached_property
    def _images(self) -> dict[str, Path]:
        return files_by_stem(self.image_dir, "", IMAGE_EXTENSIONS)

    @cached_property
    def _maps(self) -> dict[str, dict[str, Path]]:
        """The label maps by class and stem."""
        return {
            folder.name: files_by_stem(folder, "", LABEL_EXTENSIONS)
            for folder in class_folders(self.image_dir, self.label_dir)
        }


def class_folders(image_dir: Path, label_dir: Path) -> list[Path]:
    """The folders of a folder of label maps that are of classes, by name.

    Of parts of the data, in contrast, there are folders of images too.
    """
    within = [p for p in sorted(label_dir.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    return [folder for folder in within if not (image_dir / folder.name).is_dir()]
