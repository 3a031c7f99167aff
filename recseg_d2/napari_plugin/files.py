"""Label maps as napari's layers, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from recseg_d2 import rle
from recseg_d2.data.formats import FILE_FORMATS, ImageObjects, SavedObject
from recseg_d2.data.io.images import read_stack
from recseg_d2.data.io.label_maps import (
    LABEL_EXTENSIONS,
    LARGEST_LABEL,
    read_label_map,
    write_label_map,
)
from recseg_d2.errors import UserError
from recseg_d2.files import write_whole

LayerData = tuple[np.ndarray, dict[str, Any], str]

_TIFF = (".tif", ".tiff")
# Endings of formats of objects, the longest first; label maps keep their values instead.
_OBJECTS = {"_seg.npy": "cellpose", ".geojson": "geojson", ".zip": "imagej"}


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """What napari asks of a reader: the function that reads a file; None for other files."""
    if not isinstance(path, str) or Path(path).suffix.lower() not in LABEL_EXTENSIONS:
        return None
    return read_labels


def read_labels(path: str) -> list[LayerData]:
    """A label map, or a label stack as ``recseg predict --stack`` writes it, as a labels layer.

    Raises:
        UserError: it is none.
    """
    if Path(path).suffix.lower() in _TIFF:
        pages = read_stack(path)
        if len(pages) > 1 and pages.shape[-1] == 1 and pages.dtype.kind in "ui":
            return [(pages[..., 0], {"name": Path(path).stem}, "labels")]
    return [(read_label_map(path), {"name": Path(path).stem}, "labels")]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer in the format of a file's ending.

    PNG, TIFF and numpy keep the labels as they are, TIFF and numpy of stacks too; outlines and
    Cellpose's file have the objects in the order of their labels.

    Args:
        path: ends in one of the manifest's endings.
        data: (H, W) or, of stacks, (P, H, W) integers; 0 is background.
        attributes: of the layer; its "name" stands for the image's.

    Returns:
        the path, as napari expects it.

    Raises:
        UserError: the format cannot hold the layer.
    """
    labels, target = np.asarray(data), Path(path)
    kind = next((name for ending, name in _OBJECTS.items() if path.endswith(ending)), None)
    if labels.ndim != 2 and (kind is not None or target.suffix.lower() == ".png"):
        raise UserError(
            f"{path}: found labels of {labels.ndim} dimensions, expected 2; save stacks as .tif."
        )
    if kind is not None:
        name = str(attributes.get("name", target.stem))
        FILE_FORMATS[kind].write(_objects(labels, name), target)
    elif target.suffix.lower() in (*_TIFF, ".npy"):
        deep = labels.astype(np.uint16 if labels.max(initial=0) <= LARGEST_LABEL else np.uint32)
        with write_whole(target, "wb") as file:
            if target.suffix.lower() == ".npy":
                np.save(file, deep)
            else:
                tifffile.imwrite(file, deep, photometric="minisblack", compression="zlib")
    else:
        write_label_map(target, labels)
    return [path]


def _objects(labels: np.ndarray, name: str) -> ImageObjects:
    masks = rle.encode_labels(labels).values()
    return ImageObjects(name, (labels.shape[0], labels.shape[1]), [SavedObject(m) for m in masks])
