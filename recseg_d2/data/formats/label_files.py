"""Formats that say of each pixel which object it belongs to."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from recseg_d2 import rle
from recseg_d2.data.formats.base import FileFormat, ImageObjects
from recseg_d2.data.io.label_maps import LARGEST_LABEL, write_label_map
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder, part_of, save_image, write_whole

BITS = (8, 16, 32)  # of a label map's pixels


def label_formats(bits: int | None = None) -> dict[str, FileFormat]:
    """The formats by name.

    Args:
        bits: one of ``BITS``, of the label maps that programs read as images; PNG has 16 where it
            is 32. None takes as few as the number of objects needs, 16 or more but in PNG.
            ``FileFormat.write`` raises ``UserError`` where an image has more objects than fit.
    """
    return {
        "png": FileFormat(".png", partial(_write_png, bits=bits)),
        "tif": FileFormat(".tif", partial(_write_tif, bits=bits)),
        "ome": FileFormat(".ome.tif", partial(_write_ome, bits=bits)),
        "npy": FileFormat(".npy", partial(_write_npy, bits=bits)),
        "cellpose": FileFormat("_seg.npy", _write_cellpose),
        "masks": FileFormat("", _write_masks),
    }


def _write_png(found: ImageObjects, path: Path, bits: int | None) -> None:
    write_label_map(path, found.label_map(), bits)


def _stored(found: ImageObjects, path: Path, bits: int | None) -> np.ndarray:
    """A label map of so many bits; of 16, of 32 where there are more objects."""
    count = len(found.objects)
    if bits is None:
        bits = 16 if count <= LARGEST_LABEL else 32
    if count >= 2**bits:
        raise UserError(
            f"{path}: found {count} objects, {bits} bits hold {2**bits - 1}; take more (--bits)."
        )
    return found.label_map().astype(f"uint{bits}")


def _write_tif(found: ImageObjects, path: Path, bits: int | None) -> None:
    labels = _stored(found, path, bits)
    with write_whole(path, "wb", durable=False) as file:
        tifffile.imwrite(file, labels, compression="zlib")


def _write_ome(found: ImageObjects, path: Path, bits: int | None) -> None:
    labels = _stored(found, path, bits)
    with write_whole(path, "wb", durable=False) as file:
        tifffile.imwrite(file, labels, ome=True, metadata={"axes": "YX"})


def _write_npy(found: ImageObjects, path: Path, bits: int | None) -> None:
    _save_array(path, _stored(found, path, bits))


def _write_cellpose(found: ImageObjects, path: Path) -> None:
    """The entries of Cellpose's file that its window reads."""
    labels = _stored(found, path, None)
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
    part = part_of(path)
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
