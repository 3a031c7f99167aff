"""How many objects an image of a data set may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ObjectLimits:
    """Which images to keep by their number of objects; crowds are no objects.

    Attributes:
        fewest: images with fewer objects are left out.
        most: images with more objects are left out; None for no limit.
    """

    fewest: int = 0
    most: int | None = None

    def keeps(self, record: dict[str, Any]) -> bool:
        """Whether an image is within the limits; one without ground truth always is."""
        if "annotations" not in record:
            return True
        count = _count(record)
        return self.fewest <= count and (self.most is None or count <= self.most)

    def why_empty(self, records: Sequence[dict[str, Any]]) -> str:
        """What to say where none of the images is within the limits."""
        counts = [_count(record) for record in records] or [0]
        most = "any" if self.most is None else self.most
        return (
            f"none of {len(records)} images is left; they have {min(counts)} to {max(counts)} "
            f"objects, wanted are {self.fewest} to {most}. Change --min-objects and --max-objects "
            "(min_objects, max_objects)."
        )


def _count(record: dict[str, Any]) -> int:
    return sum(not a.get("iscrowd", 0) for a in record.get("annotations", []))
