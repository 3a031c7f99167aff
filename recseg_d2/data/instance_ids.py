"""Instance id files: one 16-bit integer a pixel that tells class and instance.

    Cityscapes   class * 1000 + instance for an instance; the class alone (under 1000) for a region
                 of a class without instances, and for a group that was not taken apart
    KITTI 2015   class * 256 + instance; instance 0 for what was not taken apart

Class is the label id of Cityscapes (24 is person, 26 car, ...) in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.errors import UserError

# The classes with instances of the Cityscapes benchmark, in its order, and their label ids.
CLASSES = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
LABEL_IDS = (24, 25, 26, 27, 28, 31, 32, 33)

CITYSCAPES_DIVISOR, KITTI_DIVISOR = 1000, 256

_GREY_MODES = ("I;16", "I;16B", "I;16L", "I", "L")  # 8 bits do where no instance is in the image
_LARGEST_ID = 65535


def read_instance_ids(path: str | Path) -> np.ndarray:
    """Read an instance id file.

    Args:
        path: a grey PNG, 16 bits deep.

    Returns:
        (H, W) uint16.

    Raises:
        UserError: the file is missing, unreadable, truncated, or its pixels are no such ids.
    """
    try:
        with Image.open(path) as image:
            mode = image.mode
            pixels = np.asarray(image)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such instance id file.") from error
    except (OSError, SyntaxError, ValueError) as error:  # PIL raises each of them on broken files
        raise UserError(
            f"{path}: cannot be read as an image ({error}); the file is damaged or cut short, "
            "copy it again."
        ) from error
    if mode not in _GREY_MODES:
        raise UserError(
            f"{path}: found pixel type {mode!r}, expected 16-bit grey, class and instance in one "
            "number; colour files are for looking at."
        )
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > _LARGEST_ID:
        raise UserError(f"{path}: found ids from {low} to {high}, expected 0 to {_LARGEST_ID}.")
    return pixels.astype(np.uint16, copy=False)


@dataclass(frozen=True)
class InstanceIdRule:
    """Which ids are objects, and of which category.

    Attributes:
        label_ids: the label id of category 0, 1, ...; all other classes are no objects.
        divisor: ``CITYSCAPES_DIVISOR`` or ``KITTI_DIVISOR``.
    """

    label_ids: Sequence[int]
    divisor: int

    def annotations(self, ids: np.ndarray) -> list[dict[str, Any]]:
        """Annotations of the objects in the order of their ids; groups have "iscrowd" 1.

        Args:
            ids: (H, W) uint16, see ``read_instance_ids``.
        """
        kept = self._keep[ids]
        return label_map_to_annotations(kept, self._category, self._groups)

    @cached_property
    def _category(self) -> dict[int, int]:
        """Category by id, of groups and instances."""
        categories = {}
        for category, label_id in enumerate(self.label_ids):
            first = label_id * self.divisor
            for i in (self._group_id(label_id), *range(first, first + self.divisor)):
                categories[i] = category
        return categories

    @cached_property
    def _groups(self) -> frozenset[int]:
        return frozenset(map(self._group_id, self.label_ids))

    def _group_id(self, label_id: int) -> int:
        """The id of what was not taken apart. In Cityscapes the first instance has number 0."""
        return label_id if self.divisor == CITYSCAPES_DIVISOR else label_id * self.divisor

    @cached_property
    def _keep(self) -> np.ndarray:
        """(65536,) uint16: an id itself if it is an object or a group, else 0."""
        table = np.zeros(_LARGEST_ID + 1, np.uint16)
        wanted = list(self._category)
        table[wanted] = wanted
        return table
