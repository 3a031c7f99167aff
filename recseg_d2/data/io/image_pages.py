"""The pages that an image file holds, and what its header says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detectron2.utils.file_io import PathManager
from PIL import Image, ImageMode, ImageOps, ImageSequence

from recseg_d2.config.options import FrameOptions
from recseg_d2.data.io.image_files import open_image, too_large
from recseg_d2.data.io.tiff import is_tiff, read_header, read_tiff
from recseg_d2.errors import UserError

_EXIF_ORIENTATION = 274
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange rows and columns
_BITS_PER_SAMPLE = 258  # a tag of TIFF
# Pillow's modes whose pixels are taken as they are stored; all others become RGB.
_STORED_MODES = ("L", "LA", "RGB", "RGBA", "I", "F", "I;16", "I;16B", "I;16L")
_WITH_OPACITY = ("LA", "RGBA")
_ONE_PICTURE = ("MPO",)  # formats whose further pages are previews of the first
# Pillow's unpackers of 16 bits keep the first or the second byte of each pair.
_HIGH_BYTES, _LOW_BYTES = "16B", "16L"


class ImageFile(NamedTuple):
    """What an image file says of itself.

    Attributes:
        height: in pixels, turned as the camera noted.
        width: the same.
        channels: those of ``read_image`` without opacity.
        dtype: that of ``read_image``.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


def read_pages(path: str | Path, axes: str) -> np.ndarray:
    """All pages of a file, (P, H, W, C), without opacity.

    Args:
        path: an image file.
        axes: of a TIFF, as INPUT.FRAMES.AXES.

    Raises:
        UserError: the file cannot be read.
    """
    tiff = _read_tiff(path, axes)
    if tiff is not None:
        return tiff
    with open_image(path) as image:
        if _is_deep(image):
            return _read_deep(path, image)
        frames = (
            [image] if _frames(image) == 1 else [f.copy() for f in ImageSequence.Iterator(image)]
        )
        upright = [ImageOps.exif_transpose(frame) for frame in frames]
        taken = [u if u.mode in _STORED_MODES else u.convert("RGB") for u in upright]
        arrays = [np.asarray(u) for u in taken]
    pages = np.stack([a.reshape(*a.shape[:2], -1) for a in arrays])
    return _without_opacity(pages, taken[0].mode in _WITH_OPACITY)


def read_size(path: str | Path, options: FrameOptions) -> ImageFile:
    """What a file's header says of the page that ``options`` chooses; no pixel is decoded.

    Raises:
        UserError: the file is no image, or has no such page.
    """
    header = _tiff_header(path, options)
    if header is not None:
        return header
    with open_image(path) as image:
        check_page(path, _frames(image), options)
        # The base class's method: that of PNG files decodes the pixels.
        orientation = Image.Image.getexif(image).get(_EXIF_ORIENTATION)
        width, height = image.size
        mode = ImageMode.getmode(image.mode if image.mode in _STORED_MODES else "RGB")
        channels = len(mode.bands) - (mode.mode in _WITH_OPACITY)
        dtype = np.dtype(np.uint16 if _is_deep(image) else mode.typestr)
    size = (width, height) if orientation in _SIDEWAYS else (height, width)
    return ImageFile(*size, len(options.channels) or channels, dtype)


def check_page(path: str | Path, count: int, options: FrameOptions) -> None:
    """Refuse a file of ``count`` pages where ``options`` chooses none, or one that is not there."""
    if options.page < 0 and count > 1:
        raise UserError(
            f"{path}: found {count} pages, expected one image; choose one by INPUT.FRAMES.PAGE, or "
            "say by INPUT.FRAMES.AXES which axis of the file is that of the channels."
        )
    if options.page >= count:
        raise UserError(f"{path}: found {count} pages, expected number {options.page} (from 0).")


def is_deep_or_tiff(path: str | Path) -> bool:
    """Whether Pillow would not give all of a file's numbers: a plain TIFF, or 16-bit colours."""
    if _tiff_header(path, FrameOptions(page=0)) is not None:
        return True
    with open_image(path) as image:
        return _is_deep(image)


def _without_opacity(pages: np.ndarray, has_opacity: bool) -> np.ndarray:
    """Pages without the last channel, where that is opacity: masks and models do without it."""
    return pages[..., :-1] if has_opacity else pages


def _frames(image: Image.Image) -> int:
    return 1 if image.format in _ONE_PICTURE else getattr(image, "n_frames", 1)


def _read_tiff(path: str | Path, axes: str) -> np.ndarray | None:
    if _tiff_header(path, FrameOptions(page=0, axes=axes)) is None:
        return None
    with PathManager.open(str(path), "rb") as file:
        found = read_tiff(file, str(path), axes)
    return None if found is None else _without_opacity(found.pages, found.has_opacity)


def _tiff_header(path: str | Path, options: FrameOptions) -> ImageFile | None:
    """Of a TIFF that tifffile reads; None for other files."""
    try:
        with PathManager.open(str(path), "rb") as file:
            if not is_tiff(file):
                return None
            header = read_header(file, str(path), options.axes)
    except OSError:  # which opening it as an image tells of
        return None
    if not header.is_plain:
        return None
    check_page(path, header.pages, options)
    height, width = header.count("Y"), header.count("X")
    if Image.MAX_IMAGE_PIXELS is not None and height * width > 2 * Image.MAX_IMAGE_PIXELS:
        raise UserError(too_large(path))
    size = (width, height) if header.orientation in _SIDEWAYS else (height, width)
    channels = len(options.channels) or header.count("CS") - header.has_opacity
    return ImageFile(*size, channels, header.dtype)


def _is_deep(image: Any) -> bool:
    """Whether Pillow opens 16-bit colours as 8-bit ones, which it does without a word."""
    if image.mode not in ("RGB", "RGBA", "LA"):
        return False
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))) > 8
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _read_deep(path: str | Path, image: Any) -> np.ndarray:
    """The 16 bits a channel of a PNG: both bytes of each pair, one after the other."""
    if image.format != "PNG" or f"{image.mode};{_HIGH_BYTES}" != image.tile[0].args:
        raise UserError(
            f"{path}: found 16-bit colours that Pillow cuts to 8 bits; save it as an uncompressed "
            "TIFF, or `pip install imagecodecs`."
        )
    tiles = [t._replace(args=t.args.replace(_HIGH_BYTES, _LOW_BYTES)) for t in image.tile]
    high = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
    again: Any
    with open_image(path) as again:
        again.tile = tiles
        low = np.asarray(ImageOps.exif_transpose(again))
    return _without_opacity((high << 8 | low)[None], image.mode in _WITH_OPACITY)
