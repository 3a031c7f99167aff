"""Data sets of images with a label file each.

A subclass lists the files and, where a label file is no plain label map, reads it. Headers of
images and the label files are read once; what is kept of them is run-length encoded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recseg_d2 import rle
from recseg_d2.data.annotations import IGNORED, label_map_to_annotations
from recseg_d2.data.io.images import image_size
from recseg_d2.data.io.label_maps import read_label_map
from recseg_d2.data.io.pairing import lossy_hint
from recseg_d2.data.problems import Record
from recseg_d2.data.sources.base import SIGNS, DataSource
from recseg_d2.errors import UserError


@dataclass(frozen=True)
class LabelledImage:
    """The files of an image.

    Attributes:
        image_id: id of the image in Detectron2's standard dict.
        image: the image file.
        labels: its label file, there or not; None where there is to be none, as in test sets.
        files: more entries of the standard dict, paths by key, such as "disparity_file".
    """

    image_id: str
    image: Path
    labels: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict)


class LabelMap(NamedTuple):
    """What a label file says.

    Attributes:
        labels: (H, W) integers, 0 is background.
        classes: category of each label; labels that it lacks are left out. None: all are of
            category 0.
        crowds: labels of regions of several objects that were not told apart.
        ignored: (H, W) bool, where it is not known what the image shows; None is nowhere.
    """

    labels: np.ndarray
    classes: Mapping[int, int] | None = None
    crowds: Collection[int] = ()
    ignored: np.ndarray | None = None

    def annotations(self) -> list[dict[str, Any]]:
        """Detectron2's annotations of the objects, see ``label_map_to_annotations``."""
        return label_map_to_annotations(self.labels, self.classes, self.crowds)


@dataclass(frozen=True)
class LabelledImages(DataSource[LabelledImage]):
    """Images with label files; a subclass has ``find``, ``place`` and ``metadata``."""

    def advice(self, item: LabelledImage) -> str:
        """What to do about an image of which a file is missing."""
        hint = lossy_hint(item.labels) if item.labels else ""
        return f"Add one (all 0 where there is no object), or take the image away.{hint}"

    def read_labels(self, path: Path) -> LabelMap:
        """Read a label file: here a label map in which every label is an object of one class.

        Raises:
            UserError: the file is damaged, or not as expected.
        """
        return LabelMap(read_label_map(path))

    def signs(self, found: LabelMap, path: Path) -> Any:
        """What ``suspicions`` wants to know of a label map; None is nothing.

        Raises:
            UserError: it cannot be one.
        """
        return None

    def read(self, item: LabelledImage) -> Record:
        """The standard dict; a label file has to have its image's size."""
        for path in (item.image, item.labels):
            if path is not None and not path.is_file():
                raise UserError(
                    f"{path}: no such file, expected one for each image. {self.advice(item)}"
                )
        height, width = image_size(item.image)
        record: dict[str, Any] = {
            "file_name": str(item.image),
            "height": height,
            "width": width,
            "image_id": item.image_id,
            **{key: str(path) for key, path in item.files.items()},
        }
        if item.labels is None:
            return record
        found = self.read_labels(item.labels)
        if found.labels.shape != (height, width):
            raise UserError(
                f"{item.labels}: found {found.labels.shape[1]}x{found.labels.shape[0]} pixels, "
                f"expected the {width}x{height} of {item.image}; a label file has its image's size."
            )
        record["annotations"] = found.annotations()
        if found.ignored is not None and found.ignored.any():
            record[IGNORED] = rle.encode(found.ignored)
        signs = self.signs(found, item.labels)
        return record if signs is None else {**record, SIGNS: signs}

    def file_of(self, item: LabelledImage) -> str:
        """Path of the image file."""
        return str(item.image)
