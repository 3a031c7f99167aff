"""The built-in data sets that are drawn on demand, without files.

    synthetic_rosettes_{train,val,dev}          leaves, one class, scored as leaf segmentation
    synthetic_scenes_{train,val,dev}            every shape is an "object"; scored as class-agnostic
                                                mask proposals (evaluator type ``segment_proposal``)
    synthetic_scenes_classes_{train,val,dev}    the same images and masks, with six classes; scored
                                                by AP per class (evaluator type ``voc_segm``)

An image's "file" is a path that ``synthetic.files`` draws when it is opened, its ``image_id`` the
seed: scenes have the same in both readings, so that proposals made on the one serve on the other.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.problems import Record
from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.synthetic import rosettes, scenes
from recseg_d2.data.synthetic.files import synthetic_path

# part: number of images, first seed. The ranges of seeds do not meet; "dev" is for choosing
# hyper-parameters, so that "val" stays unseen.
PARTS = {"train": (3000, 0), "val": (200, 1_000_000), "dev": (200, 2_000_000)}


@dataclass(frozen=True)
class Synthetic(DataSource[int]):
    """Drawn images, one for each seed of a range.

    Attributes:
        num_images: number of images.
        first_seed: keep the ranges of a training and a test set apart.
        size: side of the images in pixels.
    """

    num_images: int
    first_seed: int
    size: int
    drawing: ClassVar[str]  # one of ``synthetic.files.DRAWINGS``

    def find(self) -> range:
        """The seeds that images are drawn from, an image each."""
        return range(self.first_seed, self.first_seed + self.num_images)

    def read(self, item: int) -> Record:
        """The standard dict; only the label map is drawn for it."""
        return {
            "file_name": self.file_of(item),
            "height": self.size,
            "width": self.size,
            "image_id": item,
            "annotations": label_map_to_annotations(*self.draw_labels(item)),
        }

    def file_of(self, item: int) -> str:
        """The path under which Detectron2's ``PathManager`` opens the image."""
        return synthetic_path(self.drawing, self.size, item)

    @abstractmethod
    def draw_labels(self, seed: int) -> tuple[np.ndarray, dict[int, int] | None]:
        """The (size, size) label map of a seed, and the category of each label."""


@dataclass(frozen=True)
class Rosettes(Synthetic):
    """Leaves around a centre; see ``synthetic.rosettes``."""

    size: int = rosettes.REFERENCE_SIZE
    drawing: ClassVar[str] = "rosettes"
    METADATA: ClassVar = {"thing_classes": ("leaf",), "evaluator_type": "label_map"}

    def draw_labels(self, seed: int) -> tuple[np.ndarray, None]:
        """The label map; leaves are of one class."""
        return rosettes.draw_label_map(seed, self.size), None


@dataclass(frozen=True)
class Scenes(Synthetic):
    """Overlapping shapes; see ``synthetic.scenes``.

    Attributes:
        with_classes: six classes, for ``voc_segm``; else the one class "object", for
            ``segment_proposal``.
    """

    size: int = scenes.REFERENCE_SIZE
    with_classes: bool = True
    drawing: ClassVar[str] = "scenes"

    def draw_labels(self, seed: int) -> tuple[np.ndarray, dict[int, int] | None]:
        """The label map, and the class of each shape."""
        labels, classes = scenes.draw_scene_labels(seed, self.size)
        return labels, dict(enumerate(classes, start=1)) if self.with_classes else None

    def metadata(self) -> dict[str, Any]:
        """The six classes, or one."""
        if self.with_classes:
            return {"thing_classes": scenes.SHAPE_CLASSES, "evaluator_type": "voc_segm"}
        return {"thing_classes": ("object",), "evaluator_type": "segment_proposal"}


def builtin(root: Path) -> Iterator[DataSource]:
    """The data sets of the module's docstring; they have no files in ``root``."""
    for part, (count, first) in PARTS.items():
        yield Rosettes(f"synthetic_rosettes_{part}", count, first)
        yield Scenes(f"synthetic_scenes_{part}", count, first, with_classes=False)
        yield Scenes(f"synthetic_scenes_classes_{part}", count, first)
