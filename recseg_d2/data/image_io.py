"""Reading image files, and looking at them before a training run depends on them."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
from detectron2.data import detection_utils
from detectron2.utils.file_io import PathManager
from PIL import Image

from recseg_d2.errors import UserError

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")

_EXIF_ORIENTATION = 274
_SIDEWAYS = (5, 6, 7, 8)  # orientations that Detectron2's reader undoes by turning the image
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "F")  # Pillow cuts them at 255 without a word
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def read_bgr(path: str | Path) -> np.ndarray:
    """Read an image file, or anything that Detectron2's ``PathManager`` opens.

    Returns:
        (H, W, 3) uint8 in BGR order; grey is repeated, alpha is dropped, the orientation that
        a camera noted is applied.

    Raises:
        UserError: there is no such file, it is no image or a damaged one, or its values do not
            fit into 8 bits.
    """
    try:
        with PathManager.open(str(path), "rb") as file, Image.open(file) as image:
            mode = image.mode
        if mode in _DEEP_MODES:
            raise UserError(
                f"{path}: found pixels of type {mode!r}, expected 8 bits a channel; nearly all "
                "would turn white. Convert the image to 8 bits, as those that were trained on."
            )
        return np.ascontiguousarray(detection_utils.read_image(str(path), format="BGR"))
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; give the path of an image.") from error
    except _PILLOW_ERRORS as error:
        raise UserError(
            f"{path}: cannot be read as an image ({error}); expected an 8-bit PNG, JPEG, TIFF or "
            "the like. Copy or convert the file again."
        ) from error


def probe_image(
    path: str | Path, decode: bool = True, stream: IO[bytes] | None = None
) -> tuple[int, int]:
    """Height and width of an image as Detectron2's ``read_image`` will return it.

    Args:
        path: an image file.
        decode: also decode the pixels, the only way to find out that a file is cut short.
        stream: the file's content, where it is not in the file system; ``path`` is its name then.

    Returns:
        height and width in pixels, after the orientation that a camera noted.

    Raises:
        UserError: the file is missing, unreadable, truncated, or deeper than 8 bits a channel.
    """
    try:
        with Image.open(path if stream is None else stream) as image:
            width, height = image.size
            mode = image.mode
            # The base class's method: that of PNG files decodes the pixels.
            if Image.Image.getexif(image).get(_EXIF_ORIENTATION) in _SIDEWAYS:
                width, height = height, width
            if decode:
                image.load()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such image file.") from error
    except (OSError, SyntaxError, ValueError) as error:  # PIL raises each of them on broken files
        raise UserError(
            f"{path}: cannot be read as an image ({error}); the file is damaged or cut short, "
            "copy or export it again."
        ) from error
    if mode in _DEEP_MODES:
        raise UserError(
            f"{path}: found pixel type {mode!r} (more than 8 bits), expected an 8-bit image; "
            "stretch its intensities to 0..255 and save it as 8-bit PNG."
        )
    return height, width
