"""Reading and writing label maps: one integer a pixel, 0 is background.

A label map on disk is any of
    8- or 16-bit grey (PNG, TIFF; also 32-bit integer TIFF): the value is the label;
    palette PNG: the index is the label, whatever colour the palette gives it;
    RGB or RGBA, one colour per instance: black (or fully transparent) is background, the other
    colours become 1, 2, ... in the order of their value 65536 R + 256 G + B. A grey image that was
    stored as RGB (R = G = B everywhere) keeps its values.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from recseg_d2.errors import UserError

LABEL_EXTENSIONS = (".png", ".tif", ".tiff", ".bmp")  # lossless formats only
LARGEST_LABEL = 65535  # what a 16-bit image can hold

_INTEGER_MODES = ("L", "P", "I", "I;16", "I;16L", "I;16B")
_COLOUR_MODES = ("RGB", "RGBA")


def read_label_map(path: str | Path) -> np.ndarray:
    """Read a label map.

    Args:
        path: an image file, see the module's docstring for the forms.

    Returns:
        (H, W) int32, labels >= 0, not necessarily consecutive.

    Raises:
        UserError: the file is missing, unreadable, truncated, or no label map.
    """
    mode, pixels = _decode(Path(path))
    if mode in _COLOUR_MODES:
        return _colours_to_labels(pixels)
    labels = pixels.astype(np.int64)
    if labels.min(initial=0) < 0 or labels.max(initial=0) > np.iinfo(np.int32).max:
        raise UserError(
            f"{path}: found labels from {labels.min()} to {labels.max()}, expected 0 or more; "
            "save background as 0 and the objects as 1, 2, ..."
        )
    return labels.astype(np.int32)


def write_label_map(path: str | Path, labels: np.ndarray) -> None:
    """Write a label map as 8-bit grey if all labels fit into it, else as 16-bit grey.

    Args:
        path: ends in .png, .tif, .tiff or .bmp; its folder exists.
        labels: (H, W) integers or bool in [0, 65535].

    Raises:
        UserError: the labels are out of range, or the ending is not of a lossless format.
        ValueError: ``labels`` is not a two-dimensional integer array.
    """
    path, labels = Path(path), np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "bui":
        raise ValueError(
            f"a label map is (H, W) integers, got shape {labels.shape} of {labels.dtype}"
        )
    if path.suffix.lower() not in LABEL_EXTENSIONS:
        raise UserError(
            f"{path}: label maps need a lossless format, one of {', '.join(LABEL_EXTENSIONS)}."
        )
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high > LARGEST_LABEL:
        raise UserError(
            f"{path}: labels from {low} to {high} do not fit into 16 bits (0 to {LARGEST_LABEL}); "
            "relabel them consecutively first."
        )
    bits = np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16
    Image.fromarray(labels.astype(bits)).save(path)


def _decode(path: Path) -> tuple[str, np.ndarray]:
    """PIL's mode and the decoded pixels; refuses what cannot hold labels."""
    if not path.is_file():
        raise UserError(f"{path}: no such label file.")
    try:
        with Image.open(path) as image:
            mode, frames = image.mode, getattr(image, "n_frames", 1)
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:  # PIL raises each of them on broken files
        raise UserError(
            f"{path}: cannot be read as an image ({error}); the file is damaged or cut short, "
            "copy or export it again."
        ) from error
    if mode not in _INTEGER_MODES + _COLOUR_MODES or frames > 1:
        found = f"{frames} pages" if frames > 1 else f"pixel type {mode!r}"
        raise UserError(
            f"{path}: found {found}, expected a label map: one page of 8- or 16-bit grey, palette "
            "indices, or one RGB colour per instance. (Types '1' and 'F' are one bit and floating "
            "point: convert them to integers, one value per instance.)"
        )
    return mode, pixels


def _colours_to_labels(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3 or 4) uint8 to (H, W) int32: consecutive labels in the order of the colours."""
    rgb = pixels[..., :3].astype(np.int32)
    if pixels.shape[2] == 4:
        rgb[pixels[..., 3] == 0] = 0
    if (rgb == rgb[..., :1]).all():
        return rgb[..., 0]
    codes = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    colours, labels = np.unique(codes, return_inverse=True)
    offset = 0 if colours[0] == 0 else 1
    return (labels.reshape(codes.shape) + offset).astype(np.int32)
