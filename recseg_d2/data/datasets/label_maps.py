"""Folders of images and label maps as data sets.

``register_label_map_dataset`` takes two folders, ``register_folder`` one in a usual layout. Loading
reads every label map once, in several threads, checks it against its image, and keeps the result
in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from pycocotools import mask as coco_mask

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.image_io import probe_image
from recseg_d2.data.label_io import read_label_map
from recseg_d2.data.limits import ObjectLimits
from recseg_d2.data.pairing import Pair, find_pairs, missing_label, pair_files
from recseg_d2.data.problems import Problem, read_all, survey_all
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

MANY_OBJECTS, SPECK_AREA = (
    32,
    2,
)  # a label map of so many objects, half of them such specks, is none


def register_label_map_dataset(
    name: str,
    image_dir: str | Path,
    label_dir: str | Path,
    classes: Sequence[str] = ("object",),
    min_objects: int = 0,
    max_objects: int | None = None,
    *,
    image_suffix: str = "",
    label_suffix: str = "",
    label_divisor: int = 0,
    class_ids: Sequence[int] | None = None,
    verify_images: bool = True,
    **metadata: Any,
) -> None:
    """Register a folder of images and a folder of label maps, matched by the files' stems.

    Nothing is read before ``DatasetCatalog.get(name)``, which raises ``UserError`` for: no image in
    the folder, an image without label map, sizes that differ, unreadable or truncated files, label
    maps of a wrong pixel type, and a class out of range. The order is that of the sorted stems.

    Args:
        name: for the catalogs.
        image_dir: holds the images (8 bits a channel).
        label_dir: holds the label maps, see ``label_io``; may be the same folder.
        classes: names of the classes.
        min_objects: images with fewer objects are left out.
        max_objects: images with more objects are left out; None for no limit.
        image_suffix: what an image's stem ends in beyond the common part, such as "_rgb".
        label_suffix: the same for label maps, such as "_label".
        label_divisor: with several classes, ``label // label_divisor`` tells the class of an
            object (1000 in Cityscapes); labels under it are background.
        class_ids: that quotient for each of ``classes``; None means 1, 2, ...
        verify_images: decode every image once, which finds truncated ones before training starts.
        metadata: more fields for ``MetadataCatalog``.
    """
    _register(
        name,
        LabelMapFolder(
            name=name,
            image_dir=Path(image_dir),
            label_dir=Path(label_dir),
            classes=tuple(classes),
            min_objects=min_objects,
            max_objects=max_objects,
            image_suffix=image_suffix,
            label_suffix=label_suffix,
            label_divisor=label_divisor,
            class_ids=tuple(class_ids) if class_ids is not None else None,
            verify_images=verify_images,
        ),
        **metadata,
    )


def register_folder(
    name: str, folder: str | Path, classes: Sequence[str] = ("object",), **options: Any
) -> None:
    """Register one folder that holds images and label maps, in either of two layouts.

    ``folder/images/*`` with ``folder/labels/*`` of the same stems, or, side by side,
    ``folder/*_rgb.*`` with ``folder/*_label.*`` (as CVPPP).

    Args:
        name: for the catalogs.
        folder: must exist.
        classes: names of the classes.
        options: further arguments of ``register_label_map_dataset``.

    Raises:
        UserError: the folder does not exist or has neither layout.
    """
    folder = Path(folder)
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        register_label_map_dataset(name, folder / "images", folder / "labels", classes, **options)
    elif folder.is_dir() and any(folder.glob("*_rgb.*")):
        suffixes = {"image_suffix": "_rgb", "label_suffix": "_label"}
        register_label_map_dataset(name, folder, folder, classes, **{**suffixes, **options})
    else:
        found = "a folder without them" if folder.is_dir() else "no such folder"
        raise UserError(
            f"{folder}: expected images/ and labels/ in it, or *_rgb.png beside *_label.png; "
            f"found {found}."
        )


@dataclass(frozen=True)
class LabelMapFolder:
    """A source of standard dicts; the arguments of ``register_label_map_dataset`` and two more.

    Attributes:
        select: chooses stems out of the sorted stems of all images, for splits of one folder.
        labels_optional: a folder without any label map gives dicts without annotations.
    """

    name: str
    image_dir: Path
    label_dir: Path
    classes: tuple[str, ...] = ("object",)
    min_objects: int = 0
    max_objects: int | None = None
    image_suffix: str = ""
    label_suffix: str = ""
    label_divisor: int = 0
    class_ids: tuple[int, ...] | None = None
    verify_images: bool = True
    select: Callable[[list[str]], list[str]] | None = None
    labels_optional: bool = False

    def __post_init__(self) -> None:
        if len(self.classes) > 1 and self.label_divisor <= 0:
            raise UserError(
                f"{self.name}: {len(self.classes)} classes need label_divisor, so that "
                "label // label_divisor tells the class of an object."
            )
        if self.class_ids is not None and len(self.class_ids) != len(self.classes):
            raise UserError(
                f"{self.name}: found {len(self.class_ids)} class_ids for {len(self.classes)} "
                "classes, expected one for each."
            )

    def __call__(self) -> list[dict[str, Any]]:
        """The standard dicts; callers may change what they get."""
        return [_copy(record) for record in self._records]

    def survey(self) -> tuple[list[dict[str, Any]], list[Problem]]:
        """The dicts of the good files, and what is wrong with the others."""
        pairs = self._selected(find_pairs(*self._places))
        missing: list[Problem] = []
        if not self.labels_optional or any(label for _, _, label in pairs):
            missing = [self._missing(pair) for pair in pairs if pair[2] is None]
            pairs = [pair for pair in pairs if pair[2] is not None]
        records, problems = survey_all(self._read, pairs, lambda pair: str(pair[1]))
        return [r for r in records if self._limits.keeps(r)], [*missing, *problems]

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        pairs = pair_files(*self._places, self.labels_optional)
        records = read_all(self._read, self._selected(pairs))
        kept = [r for r in records if self._limits.keeps(r)]
        if not kept:
            raise UserError(f"{self.image_dir}: {self._limits.why_empty(records)}")
        objects = [len(r.get("annotations", [])) for r in kept]
        logger.info(
            "%s: %d images, %d objects; %d images without an object, %d left out by the limits on "
            "the number of objects.",
            self.name, len(kept), sum(objects), objects.count(0), len(records) - len(kept),
        )  # fmt: skip
        return kept

    @property
    def _places(self) -> tuple[Path, Path, str, str]:
        return self.image_dir, self.label_dir, self.image_suffix, self.label_suffix

    @property
    def _limits(self) -> ObjectLimits:
        return ObjectLimits(self.min_objects, self.max_objects)

    def _missing(self, pair: Pair) -> Problem:
        stem, image, _ = pair
        message = missing_label(stem, self.image_dir, self.label_dir, self.label_suffix)
        return Problem(str(image), message)

    def _selected(self, pairs: list[Pair]) -> list[Pair]:
        if self.select is None:
            return pairs
        chosen = set(self.select([stem for stem, _, _ in pairs]))
        return [pair for pair in pairs if pair[0] in chosen]

    def _read(self, pair: Pair) -> dict[str, Any]:
        stem, image, label = pair
        height, width = probe_image(image, decode=self.verify_images)
        record = {"file_name": str(image), "height": height, "width": width, "image_id": stem}
        if label is None:
            return record
        labels = read_label_map(label)
        if labels.shape != (height, width):
            raise UserError(
                f"{label}: found {labels.shape[1]}x{labels.shape[0]} pixels, expected the "
                f"{width}x{height} of {image}; a label map has its image's size."
            )
        annotations = label_map_to_annotations(labels, self._classes_of(labels, label))
        _check_specks(annotations, label)
        return {**record, "annotations": annotations}

    def _classes_of(self, labels: np.ndarray, path: Path) -> dict[int, int] | None:
        """Category of each object's label, or None where there is no rule."""
        if self.label_divisor <= 0:
            return None
        ids = self.class_ids or tuple(range(1, len(self.classes) + 1))
        values = [int(v) for v in np.unique(labels) if v >= self.label_divisor]
        for value in values:
            if value // self.label_divisor not in ids:
                raise UserError(
                    f"{path}: found label {value}, that is class {value // self.label_divisor}, "
                    f"expected one of {', '.join(map(str, ids))} ({', '.join(self.classes)}); mend "
                    "the label map, or name the class."
                )
        return {value: ids.index(value // self.label_divisor) for value in values}


def _register(name: str, source: LabelMapFolder, /, **metadata: Any) -> None:
    DatasetCatalog.register(name, source)
    fields = {"evaluator_type": "leaf", "image_root": str(source.image_dir), **metadata}
    MetadataCatalog.get(name).set(thing_classes=list(source.classes), **fields)


def _check_specks(annotations: list[dict[str, Any]], path: Path) -> None:
    """Refuse what lossy compression or smoothing leaves of a label map."""
    areas = [int(coco_mask.area(a["segmentation"])) for a in annotations]
    if len(areas) >= MANY_OBJECTS and np.median(areas) <= SPECK_AREA:
        raise UserError(
            f"{path}: found {len(areas)} labels, half of them on at most {SPECK_AREA} pixels; so "
            "looks a label map after JPEG compression or smoothing. Export it again as PNG, and "
            "resize label maps by nearest neighbour only."
        )


def _copy(record: dict[str, Any]) -> dict[str, Any]:
    if "annotations" not in record:
        return dict(record)
    return {**record, "annotations": [dict(a) for a in record["annotations"]]}
