"""Images, and a folder of label maps for each class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recseg_d2.data.io.image_files import IMAGE_EXTENSIONS
from recseg_d2.data.io.label_maps import LABEL_EXTENSIONS
from recseg_d2.data.io.pairing import files_by_stem
from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.class_maps import ClassMaps, class_folders
from recseg_d2.data.sources.forms.base import Form, Reading, first_of, folders_in
from recseg_d2.data.sources.forms.label_maps import IMAGE_FOLDERS, LABEL_FOLDERS
from recseg_d2.errors import UserError


class ClassMapFolder(Form):
    """A folder with images/ and labels/CLASS/."""

    words = "one with images/ and labels/CLASS/ (a label map a class)"

    def recognises(self, place: Path) -> bool:
        """Whether a label map in such a folder has the name of an image in images/ itself."""
        folders = self._folders(place)
        if folders is None:
            return False
        try:
            images = files_by_stem(folders[0], "", IMAGE_EXTENSIONS).keys()
            return any(
                images & files_by_stem(folder, "", LABEL_EXTENSIONS).keys()
                for folder in class_folders(*folders)
            )
        except UserError:  # two files of a stem
            return False

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """All images."""
        reading.refuse_label_options(place, self.words)
        folders = self._folders(place)
        assert folders is not None  # it was recognised
        return ClassMaps(name, *folders, **selection)

    @staticmethod
    def _folders(place: Path) -> tuple[Path, Path] | None:
        folders = folders_in(place)
        images, labels = first_of(IMAGE_FOLDERS, folders), first_of(LABEL_FOLDERS, folders)
        return (images, labels) if images and labels else None
