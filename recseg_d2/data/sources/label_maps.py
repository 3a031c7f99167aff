"""Folders of images and label maps: a user's own data in its simplest form."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recseg_d2.data.io.label_maps import read_label_map, stored_value, where_value
from recseg_d2.data.io.pairing import find_pairs
from recseg_d2.data.label_signs import LabelSigns, count_smoothed, find_signs, split_regions
from recseg_d2.data.problems import Problem, Record
from recseg_d2.data.sources.base import SIGNS
from recseg_d2.data.sources.labelled_images import LabelledImage, LabelledImages, LabelMap
from recseg_d2.errors import UserError

_USUAL = 0.5  # share of the label maps, from which on a sign is one of the data set
_HIDDEN = 0.1  # share of objects that may be in parts since something hides their middle
_VALUES = {
    "background": "surrounds the others where 0 should",
    "outline": "outlines the others",
}


@dataclass(frozen=True)
class LabelMaps(LabelledImages):
    """A folder of images and one of label maps, matched by the files' stems, in their order.

    Example:
        >>> LabelMaps("cells_train", "cells/images", "cells/labels").register()  # doctest: +SKIP

    Attributes:
        image_dir: holds the images, of 8 bits a channel.
        label_dir: holds the label maps, see ``io.label_maps``; may be the same folder.
        classes: names of the classes.
        image_suffix: what an image's stem ends in beyond the common part, such as "_rgb".
        label_suffix: what the names of label maps end with before the ending, such as "_label".
        label_divisor: with several classes, ``label // label_divisor`` tells the class of an
            object (1000 in Cityscapes); labels under it are background.
        class_ids: that quotient for each of ``classes``; None means 1, 2, ...
        components: take each connected region of a label as an object, as in binary masks.
        background: values that are background besides 0, see ``io.label_maps``.
        ignore: values of pixels of which it is not known what they show.
    """

    image_dir: str | Path
    label_dir: str | Path
    classes: Sequence[str] = ("object",)
    image_suffix: str = ""
    label_suffix: str = ""
    label_divisor: int = 0
    class_ids: Sequence[int] | None = None
    components: bool = field(default=False, kw_only=True)
    background: Collection[int] = field(default=(), kw_only=True)
    ignore: Collection[int] = field(default=(), kw_only=True)

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

    @property
    def place(self) -> Path:
        """The folder of the images."""
        return Path(self.image_dir)

    def find(self) -> list[LabelledImage]:
        """The images of the folder, with or without a label map."""
        return pair_folder(self.place, Path(self.label_dir), self.image_suffix, self.label_suffix)

    def read_labels(self, path: Path) -> LabelMap:
        """Read a label map; with several classes, the quotient of a label tells its class."""
        labels = read_label_map(path, background=(*self.background, *self.ignore))
        classes = self._categories(labels, path)
        ignored = where_value(path, self.ignore) if self.ignore else None
        labels = split_regions(labels) if self.components else labels
        return LabelMap(labels, classes, ignored=ignored)

    def signs(self, found: LabelMap, path: Path) -> tuple[Path, LabelSigns]:
        """The file and what it shows; a map that was smoothed is refused."""
        _check_not_smoothed(found.labels, path)
        return path, find_signs(found.labels)

    def suspicions(self, records: Sequence[Record]) -> list[Problem]:
        """Binary masks, another background than 0, outlines, ids on far apart regions."""
        found = [record[SIGNS] for record in records if record.get("annotations")]
        messages = [
            self._about_regions(found),
            *(self._about_value(found, sign, what) for sign, what in _VALUES.items()),
            self._about_far_apart(found, sum(len(r["annotations"]) for r in records)),
        ]
        place = str(self.label_dir)
        return [Problem(place, message, warning=True) for message in messages if message]

    def _about_regions(self, found: Sequence[tuple[Path, LabelSigns]]) -> str:
        seen = [(path, signs.regions) for path, signs in found if signs.regions]
        if not _is_usual(seen, found):
            return ""
        path, regions = seen[0]
        return (
            f"{len(seen)} of {len(found)} label maps have one value on several regions, such as "
            f"{path.name} on {regions}: binary masks? Objects need a value each; --components "
            "takes each connected region as an object."
        )

    def _about_value(self, found: Sequence[tuple[Path, LabelSigns]], sign: str, what: str) -> str:
        seen = [(path, getattr(signs, sign)) for path, signs in found if getattr(signs, sign)]
        if not _is_usual(seen, found):
            return ""
        value = stored_value(*seen[0], background=(*self.background, *self.ignore))
        return (
            f"{len(seen)} of {len(found)} label maps have a value that {what}, such as "
            f"{seen[0][0].name} {value}, which is taken as an object; if it is background, give "
            f"--background {value}, if it is not known what is there, --ignore-value {value}."
        )

    def _about_far_apart(self, found: Sequence[tuple[Path, LabelSigns]], labels: int) -> str:
        seen = [(path, signs.far_apart) for path, signs in found if signs.far_apart]
        count = sum(number for _, number in seen)
        if count <= _HIDDEN * labels:
            return ""
        return (
            f"{count} labels in {len(seen)} of {len(found)} label maps "
            f"are on regions far from each other, such as in {seen[0][0].name}: numbers given "
            "twice? --components takes each connected region as an object."
        )

    def metadata(self) -> dict[str, Any]:
        """The given classes, scored by the metrics of leaf segmentation."""
        classes = list(self.classes)
        return {
            "thing_classes": classes,
            "evaluator_type": "label_map",
            "image_root": str(self.place),
        }

    def _categories(self, labels: np.ndarray, path: Path) -> dict[int, int] | None:
        """Category of each object's label, or None where there is no rule."""
        if self.label_divisor <= 0:
            return None
        ids = list(self.class_ids or range(1, len(self.classes) + 1))
        values = [int(v) for v in np.unique(labels) if v >= self.label_divisor]
        for value in values:
            if value // self.label_divisor not in ids:
                raise UserError(
                    f"{path}: found label {value}, that is class {value // self.label_divisor}, "
                    f"expected one of {', '.join(map(str, ids))} ({', '.join(self.classes)}); mend "
                    "the label map, or name the class."
                )
        return {value: ids.index(value // self.label_divisor) for value in values}


def _is_usual(seen: Sequence[Any], found: Sequence[Any]) -> bool:
    """Whether a sign is one of the whole data set, rather than of a few images."""
    return len(seen) > _USUAL * len(found)


def pair_folder(
    image_dir: Path, label_dir: Path, image_suffix: str, label_suffix: str
) -> list[LabelledImage]:
    """The images of a folder, each with its label map or the one that should be there.

    The arguments and errors are those of ``io.pairing.find_pairs``.
    """
    pairs = find_pairs(image_dir, label_dir, image_suffix, label_suffix)
    return [
        LabelledImage(stem, image, labels or label_dir / f"{stem}{label_suffix}.png")
        for stem, image, labels in pairs
    ]


def _check_not_smoothed(labels: np.ndarray, path: Path) -> None:
    """Refuse what lossy compression or smoothing leaves of a label map."""
    found = count_smoothed(labels)
    if found:
        raise UserError(
            f"{path}: found {found} labels, most of them narrow bands along the edges of others; "
            "so looks a label map after JPEG compression or smoothing. Export it again as PNG, and "
            "resize label maps by nearest neighbour only."
        )
