"""Pascal VOC's folders, or a list of images in one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.forms.base import Form, Reading
from recseg_d2.data.sources.voc import Voc
from recseg_d2.errors import UserError

_PARTS = ("JPEGImages", "SegmentationObject", "SegmentationClass")


class VocFolder(Form):
    """Pascal VOC's folders, or a list of images in one of them."""

    words = (
        "one with JPEGImages/, SegmentationObject/ and SegmentationClass/ (or a list in its "
        "ImageSets/Segmentation/)"
    )

    def recognises(self, place: Path) -> bool:
        """Whether there are VOC's images."""
        return (self._root(place) / _PARTS[0]).is_dir()

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """All images, or those of the list."""
        reading.refuse_label_options(place, self.words)
        root = self._root(place)
        missing = [part for part in _PARTS if not (root / part).is_dir()]
        if missing:
            there = [part for part in _PARTS if part not in missing]
            raise UserError(f"{root}: found {', '.join(there)}, expected {', '.join(missing)} too.")
        return Voc(name, root, place if place.is_file() else None, **selection)

    @staticmethod
    def _root(place: Path) -> Path:
        """The folder that ``place`` is or, as a list of images, lies in."""
        if place.is_file() and place.suffix.lower() == ".txt" and len(place.resolve().parents) > 2:
            return place.resolve().parents[2]
        return place
