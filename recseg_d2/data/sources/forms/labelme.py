"""Folders of labelme's files: a JSON file an image, beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.forms.base import Form, Reading
from recseg_d2.data.sources.labelme import Labelme, labelme_files


class LabelmeFolder(Form):
    """A folder with labelme's files."""

    words = "a folder of labelme's .json files"

    def recognises(self, place: Path) -> bool:
        """Whether one of its JSON files has shapes."""
        return bool(labelme_files(place))

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """Every image that has a file."""
        reading.refuse_label_options(place, self.words)
        options = {**selection, "allow_outside": reading.allow_outside}
        return Labelme(name, place, **options)
