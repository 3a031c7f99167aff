"""Folders of images and label maps: a user's own data in its simplest form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recseg_d2.data.io.pairing import find_pairs
from recseg_d2.data.sources.labelled_images import LabelledImage, LabelledImages, LabelMap
from recseg_d2.errors import UserError


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
        label_suffix: the same for label maps, such as "_label".
        label_divisor: with several classes, ``label // label_divisor`` tells the class of an
            object (1000 in Cityscapes); labels under it are background.
        class_ids: that quotient for each of ``classes``; None means 1, 2, ...
        decode_images: see ``LabelledImages``.
    """

    image_dir: str | Path
    label_dir: str | Path
    classes: Sequence[str] = ("object",)
    image_suffix: str = ""
    label_suffix: str = ""
    label_divisor: int = 0
    class_ids: Sequence[int] | None = None
    decode_images: bool = field(default=True, kw_only=True)

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
        found = super().read_labels(path)
        return found._replace(classes=self._categories(found.labels, path))

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
