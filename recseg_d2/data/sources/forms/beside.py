"""Outlines of QuPath and of ImageJ: a file an image, beside it or in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from recseg_d2.data.io.image_files import IMAGE_EXTENSIONS
from recseg_d2.data.io.pairing import files_by_stem
from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.beside import OutlinesBeside
from recseg_d2.data.sources.forms.base import Form, Reading, first_of, folders_in
from recseg_d2.data.sources.forms.label_maps import IMAGE_FOLDERS, LABEL_FOLDERS
from recseg_d2.data.sources.imagej import ImageJRois
from recseg_d2.data.sources.qupath import QuPath
from recseg_d2.errors import UserError

_FILE_FOLDERS = (*LABEL_FOLDERS, "annotations", "rois", "geojson", "imagej")


class _Beside(Form):
    """Images and files of outlines of the same stems, in one folder or in two."""

    SOURCE: ClassVar[type[OutlinesBeside]]

    def recognises(self, place: Path) -> bool:
        """Whether an image has such a file."""
        return self._folders(place) is not None

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """Every image that has a file."""
        reading.refuse_label_options(place, self.words)
        folders = self._folders(place)
        assert folders is not None  # it was recognised
        return self.SOURCE(name, *folders, **selection)

    def _folders(self, place: Path) -> tuple[Path, Path] | None:
        """The folders of images and of files."""
        folders = folders_in(place)
        images = first_of(IMAGE_FOLDERS, folders)
        pairs = [(place, place)] if place.is_dir() else []
        pairs += [(images, folders[n]) for n in _FILE_FOLDERS if images and n in folders]
        return next((pair for pair in pairs if self._are_pairs(*pair)), None)

    def _are_pairs(self, images: Path, files: Path) -> bool:
        try:
            stems = files_by_stem(files, "", self.SOURCE.ENDINGS).keys()
            return bool(stems) and bool(stems & files_by_stem(images, "", IMAGE_EXTENSIONS).keys())
        except UserError:  # two files of a stem, which opening the data set tells of
            return False


class QuPathFolder(_Beside):
    """QuPath's GeoJSON."""

    words = "images with QuPath's .geojson files of the same names"
    SOURCE = QuPath


class ImageJFolder(_Beside):
    """ImageJ's and Fiji's ROIs."""

    words = "images with ImageJ's .zip or .roi files of the same names"
    SOURCE = ImageJRois
