"""Image files: the one place where they are opened, measured and read.

Whatever opens an image for training, prediction, evaluation or a check does it here, so that every
command takes the same files and says the same of those that it cannot take.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from detectron2.utils.file_io import PathManager
from PIL import Image, ImageMode, ImageOps, UnidentifiedImageError

from recseg_d2.errors import UserError

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")

_EXIF_ORIENTATION = 274
_SHOWN = (0.1, 99.9)  # percentiles that become black and white
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange rows and columns
# Pillow's modes whose pixels are taken as they are stored; all others become RGB.
_STORED_MODES = ("L", "LA", "RGB", "RGBA", "I", "F", "I;16", "I;16B", "I;16L")
# What Pillow raises on files that are damaged, cut short, too large, or no images.
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file, or anything else that Detectron2's ``PathManager`` opens.

    Yields:
        The image, of which Pillow has read the header; its pixels are to be read within the
        ``with`` statement, where Pillow's errors become ``UserError``.

    Raises:
        UserError: there is no such file, or it is no image, damaged or cut short.
    """
    try:
        with PathManager.open(str(path), "rb") as file, Image.open(file) as image:
            yield image
    except UserError:  # is a ValueError too
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path.") from error
    except _PILLOW_ERRORS as error:
        unknown = isinstance(error, UnidentifiedImageError)  # whose text names the open file
        reason = "it is of no format that Pillow reads" if unknown else error
        raise UserError(
            f"{path}: cannot be read as an image ({reason}); copy, convert or export it again."
        ) from error


def probe_image(path: str | Path, decode: bool = True) -> tuple[int, int]:
    """Height and width of an image as ``read_bgr`` returns it, in pixels.

    Args:
        path: as for ``open_image``.
        decode: also decode the pixels, the only way to find out that a file is cut short.

    Raises:
        UserError: as ``read_bgr``, though without decoding a file that is cut short may pass.
    """
    with open_image(path) as image:
        _check_depth(path, np.dtype(ImageMode.getmode(image.mode).typestr))
        # The base class's method: that of PNG files decodes the pixels.
        orientation = Image.Image.getexif(image).get(_EXIF_ORIENTATION)
        if decode:
            image.load()
        width, height = image.size
    return (width, height) if orientation in _SIDEWAYS else (height, width)


def read_image(path: str | Path) -> np.ndarray:
    """Read an image with the numbers that are stored.

    Args:
        path: as for ``open_image``.

    Returns:
        (H, W, C) of the file's type, such as uint8 or uint16, turned as the camera noted. C is 1
        for grey, 3 for RGB, 1 more with opacity; palettes and other colour spaces become RGB.

    Raises:
        UserError: as ``open_image``.
    """
    with open_image(path) as image:
        upright = ImageOps.exif_transpose(image)
        pixels = np.asarray(upright if upright.mode in _STORED_MODES else upright.convert("RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)


def read_bgr(path: str | Path) -> np.ndarray:
    """Read an image as models take it.

    Args:
        path: as for ``open_image``.

    Returns:
        (H, W, 3) uint8 in BGR order, as ``read_image``; grey is repeated, opacity is dropped.

    Raises:
        UserError: as ``open_image``, or the values do not fit into 8 bits.
    """
    pixels = read_image(path)
    _check_depth(path, pixels.dtype)
    if pixels.shape[2] < 3:
        return np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(pixels[..., 2::-1])


def for_display(image: np.ndarray) -> np.ndarray:
    """An image of any depth and number of channels as figures need it.

    Args:
        image: (H, W, C) of any type of number.

    Returns:
        (H, W, 3) uint8: 8 bits as they are, others from their darkest to brightest percentile; grey
        is repeated, and of more channels the first three are shown.
    """
    shown = image[..., :3] if image.shape[2] > 2 else np.repeat(image[..., :1], 3, axis=2)
    if shown.dtype == np.uint8:
        return np.ascontiguousarray(shown)
    values = np.nan_to_num(shown.astype(np.float64))
    low, high = np.percentile(values, _SHOWN)
    return (np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)


def _check_depth(path: str | Path, found: np.dtype) -> None:
    if found.itemsize > 1:
        raise UserError(
            f"{path}: found pixels of type {found.name}, expected 8 bits a channel. Bring the "
            "intensities to 0..255, in all images alike, and save 8-bit PNG."
        )
