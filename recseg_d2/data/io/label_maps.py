"""Label maps: one integer a pixel, 0 is background.

A label map on disk is any of
    grey (PNG of 8 or 16 bits, TIFF of any whole numbers, .npy): the value is the label;
    palette PNG: the index is the label, whatever colour the palette gives it;
    RGB or RGBA, one colour per instance: black (or fully transparent) is background, the other
    colours become 1, 2, ... in the order of their value 65536 R + 256 G + B. A grey image that was
    stored as RGB (R = G = B everywhere) keeps its values.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from recseg_d2.data.io.image_files import open_image
from recseg_d2.data.io.image_pages import is_deep_or_tiff
from recseg_d2.data.io.images import read_stack
from recseg_d2.errors import UserError
from recseg_d2.files import save_image, write_whole
from recseg_d2.safe_pickle import load_npy

LABEL_EXTENSIONS = (".png", ".tif", ".tiff", ".bmp", ".npy")  # lossless formats only
LARGEST_LABEL = 65535  # what a 16-bit image can hold

_GREY_MODES = ("L", "I", "I;16", "I;16L", "I;16B")
_COLOUR_MODES = ("P", "RGB", "RGBA")
_EXPECTED = (
    "a label map: one page of whole numbers, palette indices, or one RGB colour per instance. "
    "(Type '1' is one bit: convert it to integers, one value per instance.)"
)
_EXPECTED_GREY = (
    "one page of 16-bit grey, class and instance in one number; colour files are for looking at."
)


def read_label_map(
    path: str | Path, colours: bool = True, background: Collection[int] = ()
) -> np.ndarray:
    """Read a label map.

    Args:
        path: a file, see the module's docstring for the forms.
        colours: whether palettes and colours are label maps too, or grey alone.
        background: values that are background besides 0; of a colour 65536 R + 256 G + B.

    Returns:
        (H, W) int32, labels >= 0, not necessarily consecutive.

    Raises:
        UserError: the file is missing, unreadable, truncated, or no label map.
    """
    values, is_colour = _read_values(path, colours)
    if len(background):
        values = np.where(np.isin(values, list(background)), 0, values)
    if not is_colour:
        return values.astype(np.int32)
    found, labels = np.unique(values, return_inverse=True)
    offset = 0 if found[0] == 0 else 1
    return (labels.reshape(values.shape) + offset).astype(np.int32)


def where_value(path: str | Path, values: Collection[int]) -> np.ndarray:
    """(H, W) bool, the pixels of a label map that have one of some values, as ``background``'s.

    Raises:
        UserError: as ``read_label_map``.
    """
    return np.isin(_read_values(path, colours=True)[0], list(values))


def stored_value(path: str | Path, label: int, background: Collection[int] = ()) -> str:
    """What a label of ``read_label_map`` is in the file: its value, or its colour as 0xRRGGBB."""
    where = read_label_map(path, background=background) == label
    values, is_colour = _read_values(path, colours=True)
    value = int(values[where][0])
    return f"0x{value:06x}" if is_colour else str(value)


def _read_values(path: str | Path, colours: bool) -> tuple[np.ndarray, bool]:
    """(H, W) int64 values, which are those of colours or not."""
    pixels = _read_stored(path, colours)
    if pixels.ndim == 2:
        return _whole_numbers(path, pixels), False
    if not colours or pixels.shape[2] not in (3, 4) or pixels.dtype.kind != "u":
        raise _wrong(path, f"{pixels.shape[2]} channels of {pixels.dtype}", colours)
    rgb = pixels[..., :3].astype(np.int64)
    if pixels.shape[2] == 4:
        rgb[pixels[..., 3] == 0] = 0
    if (rgb == rgb[..., :1]).all():
        return rgb[..., 0], False
    bits = 8 * pixels.dtype.itemsize
    return (rgb[..., 0] << 2 * bits) | (rgb[..., 1] << bits) | rgb[..., 2], True


def _read_stored(path: str | Path, colours: bool) -> np.ndarray:
    """(H, W) numbers, or (H, W, C) colours, as they are stored."""
    if str(path).lower().endswith(".npy"):
        pages = _read_npy(path, colours)
    elif is_deep_or_tiff(path):
        pages = read_stack(path)
    else:
        with open_image(path) as image:
            if image.mode not in _GREY_MODES + (_COLOUR_MODES if colours else ()):
                raise _wrong(path, f"pixel type {image.mode!r}", colours)
            pages = np.asarray(image)[None]
            if getattr(image, "n_frames", 1) > 1:
                raise _wrong(path, f"{image.n_frames} pages", colours)  # type: ignore[attr-defined]
            return pages[0]
    if len(pages) > 1:
        raise _wrong(path, f"{len(pages)} pages", colours)
    return pages[0, ..., 0] if pages.shape[3] == 1 else pages[0]


def _read_npy(path: str | Path, colours: bool) -> np.ndarray:
    """(1, H, W, 1) of a file of one array, or of Cellpose's dict with "masks"."""
    try:
        found = load_npy(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path.") from error
    except UserError:
        raise
    except Exception as error:  # whatever a damaged file makes of the reader
        raise UserError(f"{path}: no readable array ({error}); save it again.") from error
    if isinstance(found, dict):
        found = found.get("masks")
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind not in "iuf":
        what = getattr(found, "shape", type(found).__name__)
        raise _wrong(path, f"an array of {what}, {getattr(found, 'dtype', 'object')}", colours)
    return found[None, ..., None]


def _whole_numbers(path: str | Path, pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype.kind not in "iuf":
        raise _wrong(path, f"pixels of type {pixels.dtype}", colours=True)
    if pixels.dtype.kind == "f" and not (pixels == np.round(pixels)).all():
        raise UserError(
            f"{path}: found fractions ({pixels.dtype.name}), expected a label map of whole "
            "numbers; so looks a smoothed or normalised one, or a map of probabilities."
        )
    low, high = pixels.min(initial=0), pixels.max(initial=0)
    if low < 0 or high > np.iinfo(np.int32).max:
        raise UserError(
            f"{path}: found labels from {pixels.min()} to {high}, expected 0 or more; "
            "save background as 0 and the objects as 1, 2, ..."
        )
    return pixels.astype(np.int64)


def _wrong(path: str | Path, found: str, colours: bool) -> UserError:
    return UserError(f"{path}: found {found}, expected {_EXPECTED if colours else _EXPECTED_GREY}")


def write_label_map(path: str | Path, labels: np.ndarray, bits: int | None = None) -> None:
    """Write a label map as 8-bit grey if all labels fit into it, else as 16-bit grey.

    Args:
        path: ends in .png, .tif, .tiff, .bmp or .npy; its folder is made where it is missing.
        labels: (H, W) integers or bool in [0, 65535].
        bits: 8, or 16 or more, which is 16; None takes those that the labels need.

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
    needed = 8 if high <= np.iinfo(np.uint8).max else 16
    if bits is not None and bits < needed:
        raise UserError(
            f"{path}: found labels up to {high}, {bits} bits hold 255; take 16 (--bits)."
        )
    stored = labels.astype(np.uint8 if (bits or needed) == 8 else np.uint16)
    if path.suffix.lower() == ".npy":
        with write_whole(path, "wb", durable=False) as file:
            np.save(file, stored)
    else:
        save_image(path, Image.fromarray(stored))


def resize_label_map(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An (h, w) int32 label map at another size, (H, W), by the nearest pixel's centre."""
    if labels.shape == tuple(size):
        return labels
    image = Image.fromarray(labels)
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.NEAREST))
