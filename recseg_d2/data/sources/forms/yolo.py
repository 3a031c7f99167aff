"""YOLO's folders: images, and a text file an image with an outline a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.forms.base import Form, Reading
from recseg_d2.data.sources.yolo import Yolo, yolo_layout


class YoloFolder(Form):
    """A folder with images/ and labels/, the latter of text files."""

    words = "one with images/ and labels/ of YOLO's .txt files (data.yaml names the classes)"

    def recognises(self, place: Path) -> bool:
        """Whether there are text files in the place of label maps."""
        return yolo_layout(place) is not None

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """Every image, with or without a text file."""
        reading.refuse_label_options(place, self.words)
        layout = yolo_layout(place)
        assert layout is not None  # it was recognised
        return Yolo(name, *layout, **selection)
