"""Pickles of arrays from files that somebody else wrote.

Python's pickles name functions that are called when they are read. Here only those are known that
numpy's arrays and PyTorch's tensors are made with; a file that names another is refused unread.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from recseg_d2.errors import UserError

_KNOWN = {
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),  # bytes, in files of protocol 2
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
}
_STORAGE = ("torch.storage", "_load_from_bytes")  # which calls torch.load


def load_pickle(path: str | Path) -> Any:
    """What a pickle of dicts, lists, texts, numbers, arrays and tensors holds.

    Texts of Python 2 are taken as Latin-1, as Detectron2's model zoo has them.

    Raises:
        UserError: it names anything else than what arrays and tensors are made with.
        Exception: of any kind, where the file is damaged.
    """
    with open(path, "rb") as file:
        return _Unpickler(file, str(path)).load()


def load_npy(path: str | Path) -> Any:
    """What an ``.npy`` file holds: an array, or the object that numpy pickled into it.

    Raises:
        UserError: as ``load_pickle``.
        Exception: of any kind, where the file is damaged.
    """
    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0
        if version >= (2, 0):
            read_header = np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        if dtype.hasobject:
            found = _Unpickler(file, str(path)).load()
            return found.item() if isinstance(found, np.ndarray) and shape == () else found
        file.seek(0)
        return np.load(file, allow_pickle=False)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], source: str) -> None:
        super().__init__(file, encoding="latin1")
        self._source = source

    def find_class(self, module: str, name: str) -> Any:
        """A function or class that the file names."""
        if (module, name) == _STORAGE:
            return _load_storage
        if (module, name) not in _KNOWN:
            raise UserError(
                f"{self._source}: found {module}.{name} in it, expected arrays and tensors alone; "
                "a file that names other things can run code and is not read. Save the weights as "
                "a dict of arrays."
            )
        return super().find_class(module, name)


def _load_storage(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True)
