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

import numpy as np

from recseg_d2.data.io.label_maps import LARGEST_LABEL, read_label_map
from recseg_d2.data.sources.labelled_images import LabelMap
from recseg_d2.errors import UserError

# The classes with instances of the Cityscapes benchmark, in its order, and their label ids.
STREET_CLASSES = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
LABEL_IDS = (24, 25, 26, 27, 28, 31, 32, 33)

CITYSCAPES_DIVISOR, KITTI_DIVISOR = 1000, 256


def read_instance_ids(path: str | Path) -> np.ndarray:
    """Read an instance id file.

    Args:
        path: a grey PNG, 16 bits deep (8 bits do where no instance is in the image).

    Returns:
        (H, W) uint16.

    Raises:
        UserError: the file is missing, unreadable, truncated, or its pixels are no such ids.
    """
    ids = read_label_map(path, colours=False)
    if ids.max(initial=0) > LARGEST_LABEL:
        raise UserError(f"{path}: found ids up to {ids.max()}, expected 0 to {LARGEST_LABEL}.")
    return ids.astype(np.uint16)


@dataclass(frozen=True)
class InstanceIdRule:
    """Which ids are objects, and of which category.

    Attributes:
        label_ids: the label id of category 0, 1, ...; all other classes are no objects.
        divisor: ``CITYSCAPES_DIVISOR`` or ``KITTI_DIVISOR``.
    """

    label_ids: Sequence[int]
    divisor: int

    def label_map(self, ids: np.ndarray) -> LabelMap:
        """The objects by their ids, and the groups as crowds; all else becomes background.

        Args:
            ids: (H, W) uint16, see ``read_instance_ids``.
        """
        return LabelMap(self._keep[ids], self._category, self._groups)

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
        table = np.zeros(LARGEST_LABEL + 1, np.uint16)
        wanted = list(self._category)
        table[wanted] = wanted
        return table
