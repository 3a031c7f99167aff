"""Formats that say of each pixel which object it belongs to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from recseg_d2 import rle
from recseg_d2.data.formats.base import FileFormat, ImageObjects
from recseg_d2.data.io.label_maps import LARGEST_LABEL, write_label_map
from recseg_d2.files import make_folder, save_image, write_whole


def _write_png(found: ImageObjects, path: Path) -> None:
    write_label_map(path, found.label_map())


def _deep(found: ImageObjects) -> np.ndarray:
    """A label map of 16 bits, of 32 where there are more objects."""
    return found.label_map().astype(np.uint16 if len(found.objects) <= LARGEST_LABEL else np.uint32)


def _write_tif(found: ImageObjects, path: Path) -> None:
    with write_whole(path, "wb", durable=False) as file:
        tifffile.imwrite(file, _deep(found), compression="zlib")


def _write_ome(found: ImageObjects, path: Path) -> None:
    with write_whole(path, "wb", durable=False) as file:
        tifffile.imwrite(file, _deep(found), ome=True, metadata={"axes": "YX"})


def _write_npy(found: ImageObjects, path: Path) -> None:
    _save_array(path, _deep(found))


def _write_cellpose(found: ImageObjects, path: Path) -> None:
    """The entries of Cellpose's file that its window reads."""
    labels = _deep(found)
    inner = labels.astype(np.int64)
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        changes = np.diff(inner, axis=axis) != 0
        before, after = [slice(None)] * 2, [slice(None)] * 2
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        edge[tuple(before)] |= changes
        edge[tuple(after)] |= changes
    outlines = np.where(edge, labels, 0)
    chosen = np.zeros(len(found.objects), bool)
    content = {"masks": labels, "outlines": outlines, "filename": found.file_name}
    window: Any = {**content, "ismanual": chosen, "chan_choose": [0, 0]}
    _save_array(path, window)


def _write_masks(found: ImageObjects, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    for folder in (part, path):  # no mask of an earlier prediction stays
        shutil.rmtree(folder, ignore_errors=True)
    make_folder(part)
    digits = len(str(len(found.objects)))
    for number, one in enumerate(found.objects, start=1):
        mask = Image.fromarray(255 * rle.decode(one.mask))
        save_image(part / f"{number:0{digits}d}.png", mask)
    part.rename(path)


def _save_array(path: Path, content: Any) -> None:
    """An array, or an object in one, as Cellpose has it."""
    with write_whole(path, "wb", durable=False) as file:
        np.save(file, content, allow_pickle=True)


LABEL_FORMATS = {
    "png": FileFormat(".png", _write_png),
    "tif": FileFormat(".tif", _write_tif),
    "ome": FileFormat(".ome.tif", _write_ome),
    "npy": FileFormat(".npy", _write_npy),
    "cellpose": FileFormat("_seg.npy", _write_cellpose),
    "masks": FileFormat("", _write_masks),
}
