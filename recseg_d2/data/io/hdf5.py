"""Images in HDF5 files.

An image's "file" is ``h5://<file>::<data set>``, where the data set is (H, W, 3 or 4) uint8; a
handler on Detectron2's ``PathManager`` reads it when it is opened.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from detectron2.utils.file_io import PathManager
from iopath.common.file_io import PathHandler
from PIL import Image

from recseg_d2.errors import UserError
from recseg_d2.files import write_whole

PREFIX = "h5://"
_SEPARATOR = "::"


class H5PathHandler(PathHandler):
    """Opens ``h5://<file>::<data set>`` as an image file, for reading."""

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


def h5_path(file: Path, where: str) -> str:
    """The path under which Detectron2's ``PathManager`` opens a data set of a file."""
    return f"{PREFIX}{file}{_SEPARATOR}{where}"


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
            f"{path}: no such file; put the HDF5 file there, or set DETECTRON2_DATASETS to the "
            "folder of all data sets."
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: not a readable HDF5 file ({error}); copy it again.") from error


@contextmanager
def open_h5_group(path: Path, group: str) -> Iterator[Any]:
    """A group of an HDF5 file, opened for reading.

    Raises:
        UserError: as ``open_h5``, or the file has no such group.
    """
    with open_h5(path) as file:
        if group not in file:
            raise UserError(f"{path}: no group {group!r}, found {', '.join(file) or 'nothing'}.")
        yield file[group]


@contextmanager
def create_h5(path: Path) -> Iterator[Any]:
    """An ``h5py.File`` to write to, which replaces what is there when it is complete.

    Raises:
        UserError: h5py is not installed, or the file cannot be written.
    """
    h5py = _import_h5py(path)
    with write_whole(path, "w+b") as file, h5py.File(file, "w") as content:
        yield content


def _import_h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise UserError(
            f"{path}: HDF5 files need h5py; run `pip install recseg_d2[hdf5]`."
        ) from error
    return h5py


PathManager.register_handler(H5PathHandler(), allow_override=True)
