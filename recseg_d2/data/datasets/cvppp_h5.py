"""The HDF5 files of the CVPPP 2017 challenge.

A training set is two files: ``<group>/<plant>/rgb`` (H, W, 3 or 4) uint8 in one, and
``<group>/<plant>/label`` (H, W) integers in the other; groups are A1 to A4. An image's "file" is
``h5://<file>::<group>/<plant>/rgb``; a handler on Detectron2's ``PathManager`` reads it when it is
opened.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from detectron2.utils.file_io import PathManager
from iopath.common.file_io import PathHandler
from PIL import Image

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.errors import UserError

PREFIX = "h5://"
_SEPARATOR = "::"


@dataclass(frozen=True)
class CvpppH5:
    """A source of standard dicts over the plants of one group.

    Attributes:
        name: of the data set, for messages.
        image_file: has the images.
        label_file: has the label maps; None gives dicts without annotations.
        group: such as "A1".
        select: chooses plants out of the sorted names of all.
    """

    name: str
    image_file: Path
    label_file: Path | None
    group: str
    select: Callable[[list[str]], list[str]]

    def __call__(self) -> list[dict[str, Any]]:
        """The standard dicts; callers may change what they get."""
        return [{**r, **self._copied(r)} for r in self._records]

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        with open_h5(self.image_file) as images:
            plants = _group(images, self.group, self.image_file)
            records = [self._record(plants, plant) for plant in self.select(sorted(plants))]
        if self.label_file is None:
            return records
        with open_h5(self.label_file) as truth:
            plants = _group(truth, self.group, self.label_file)
            return [{**r, "annotations": self._annotations(plants, r)} for r in records]

    def _record(self, plants: Any, plant: str) -> dict[str, Any]:
        where = f"{self.group}/{plant}/rgb"
        if "rgb" not in plants[plant]:
            raise UserError(f"{self.image_file}: no data set {where}; expected one per plant.")
        height, width = plants[plant]["rgb"].shape[:2]
        path = f"{PREFIX}{self.image_file}{_SEPARATOR}{where}"
        return {"file_name": path, "height": height, "width": width, "image_id": plant}

    def _annotations(self, plants: Any, record: dict[str, Any]) -> list[dict[str, Any]]:
        where = f"{self.label_file}: {self.group}/{record['image_id']}/label"
        if record["image_id"] not in plants or "label" not in plants[record["image_id"]]:
            raise UserError(f"{where} is missing; expected one for each image.")
        labels = np.asarray(plants[record["image_id"]]["label"])
        if labels.shape != (record["height"], record["width"]) or labels.dtype.kind not in "ui":
            raise UserError(
                f"{where}: found {labels.shape} of {labels.dtype}, expected integers of "
                f"the image's size ({record['height']}, {record['width']})."
            )
        return label_map_to_annotations(labels)

    @staticmethod
    def _copied(record: dict[str, Any]) -> dict[str, Any]:
        if "annotations" not in record:
            return {}
        return {"annotations": [dict(a) for a in record["annotations"]]}


class H5PathHandler(PathHandler):
    """Opens ``h5://<file>::<path in it>``, an (H, W, 3 or 4) uint8 data set, as an image file."""

    def _get_supported_prefixes(self) -> list[str]:
        return [PREFIX]

    def _open(
        self, path: str, mode: str = "r", buffering: int = -1, **kwargs: Any
    ) -> IO[str] | IO[bytes]:
        file_name, where = split_h5_path(path)
        if mode != "rb" or not where:
            raise FileNotFoundError(
                f"{path!r} (mode {mode!r}): expected h5://<file>::<data set>, to be read with 'rb'."
            )
        with open_h5(file_name) as file:
            if where not in file:
                raise FileNotFoundError(f"{file_name} has no data set {where}.")
            pixels = np.asarray(file[where])[..., :3]  # a fourth channel is opacity
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "BMP")  # the quickest to write and read
        buffer.seek(0)
        return buffer

    def _isfile(self, path: str, **kwargs: Any) -> bool:
        file_name, where = split_h5_path(path)
        return bool(where) and file_name.is_file()

    def _exists(self, path: str, **kwargs: Any) -> bool:
        return self._isfile(path)


def split_h5_path(path: str) -> tuple[Path, str]:
    """The file and the data set in it of ``h5://<file>::<data set>``; "" where it names none."""
    file_name, separator, where = path[len(PREFIX) :].rpartition(_SEPARATOR)
    return Path(file_name), where if separator else ""


def open_h5(path: Path) -> Any:
    """An ``h5py.File`` opened for reading, to be used in a ``with`` statement.

    Raises:
        UserError: h5py is not installed, or the file is missing or no HDF5 file.
    """
    h5py = _import_h5py(path)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; put the challenge's HDF5 files there, or set "
            "DETECTRON2_DATASETS to the folder above cvppp/."
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: not a readable HDF5 file ({error}); copy it again.") from error


def create_h5(path: Path) -> Any:
    """An ``h5py.File`` opened for writing; what was in the file is lost.

    Raises:
        UserError: h5py is not installed.
    """
    return _import_h5py(path).File(path, "w")


def _import_h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise UserError(
            f"{path}: HDF5 files need h5py; run `pip install recseg_d2[hdf5]`."
        ) from error
    return h5py


def register_handler() -> None:
    """Make Detectron2's ``PathManager`` open ``h5://`` paths."""
    PathManager.register_handler(H5PathHandler(), allow_override=True)


def _group(file: Any, group: str, path: Path) -> Any:
    if group not in file:
        raise UserError(f"{path}: no group {group!r}, found {', '.join(file) or 'nothing'}.")
    return file[group]
