"""Image files: the one place where they are opened, measured and read.

Whatever opens an image for training, prediction, evaluation or a check does it here, so that every
command takes the same files and says the same of those that it cannot take.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detectron2.utils.file_io import PathManager
from PIL import Image, ImageMode, ImageOps, ImageSequence, UnidentifiedImageError

from recseg_d2.config.options import FrameOptions
from recseg_d2.data.io.tiff import is_tiff, read_header, read_tiff
from recseg_d2.errors import UserError

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
PLAIN = FrameOptions()

_EXIF_ORIENTATION = 274
_SHOWN = (0.1, 99.9)  # percentiles that become black and white
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange rows and columns
_BITS_PER_SAMPLE = 258  # a tag of TIFF
# Pillow's modes whose pixels are taken as they are stored; all others become RGB.
_STORED_MODES = ("L", "LA", "RGB", "RGBA", "I", "F", "I;16", "I;16B", "I;16L")
_WITH_OPACITY = ("LA", "RGBA")
_ONE_PICTURE = ("MPO",)  # formats whose further pages are previews of the first
# Pillow's unpackers of 16 bits keep the first or the second byte of each pair.
_HIGH_BYTES, _LOW_BYTES = "16B", "16L"
# What Pillow raises on files that are damaged, cut short, too large, or no images.
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


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


def is_image_name(path: Path) -> bool:
    """Whether a file is called as images are; hidden ones, as macOS leaves them, are none."""
    return path.suffix.lower() in IMAGE_EXTENSIONS and not path.name.startswith(".")


def limit_pixels(most: int) -> None:
    """Set the most pixels that an image may have; a small file can hold one that fills the memory.

    It is twice Pillow's own limit, at which Pillow warns.
    """
    Image.MAX_IMAGE_PIXELS = most // 2


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file, or anything else that Detectron2's ``PathManager`` opens.

    Yields:
        The image, of which Pillow has read the header; its pixels are to be read within the
        ``with`` statement, where Pillow's errors become ``UserError``.

    Raises:
        UserError: there is no such file, or it is no image, damaged, cut short or too large.
    """
    try:
        with PathManager.open(str(path), "rb") as file, Image.open(file) as image:
            yield image
    except UserError:  # is a ValueError too
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path.") from error
    except Image.DecompressionBombError as error:
        raise UserError(_too_large(path)) from error
    except _PILLOW_ERRORS as error:
        unknown = isinstance(error, UnidentifiedImageError)  # whose text names the open file
        reason = "it is of no format that Pillow reads" if unknown else error
        raise UserError(
            f"{path}: cannot be read as an image ({reason}); copy, convert or export it again."
        ) from error


def probe_image(path: str | Path, decode: bool = True, options: FrameOptions = PLAIN) -> ImageFile:
    """Size, channels and type of an image as ``read_image`` returns it.

    Args:
        path: an image file in any format that Pillow reads.
        decode: also decode the pixels, the only way to find out that a file is cut short.
        options: as for ``read_image``.

    Raises:
        UserError: as ``read_image``, though without decoding a file that is cut short may pass.
    """
    if decode:
        pixels = read_image(path, options)
        height, width, channels = pixels.shape
        return ImageFile(height, width, channels, pixels.dtype)
    header = _tiff_header(path, options)
    if header is not None:
        return header
    with open_image(path) as image:
        _check_page(path, _frames(image), options)
        # The base class's method: that of PNG files decodes the pixels.
        orientation = Image.Image.getexif(image).get(_EXIF_ORIENTATION)
        width, height = image.size
        mode = ImageMode.getmode(image.mode if image.mode in _STORED_MODES else "RGB")
        channels = len(mode.bands) - (mode.mode in _WITH_OPACITY)
        dtype = np.dtype(np.uint16 if _is_deep(image) else mode.typestr)
    size = (width, height) if orientation in _SIDEWAYS else (height, width)
    return ImageFile(*size, len(options.channels) or channels, dtype)


def read_image(path: str | Path, options: FrameOptions = PLAIN) -> np.ndarray:
    """Read an image with the numbers that are stored.

    Args:
        path: as for ``open_image``.
        options: which page and channels to take.

    Returns:
        (H, W, C) of the file's type, such as uint8, uint16 or float32, turned as the camera noted.
        C is 1 for grey, 3 for RGB, or any number that a TIFF has; opacity is dropped, palettes and
        other colour spaces become RGB.

    Raises:
        UserError: as ``open_image``, or the file holds several images and no page is chosen, or has
            no such page or channel.
    """
    found = _read_pages(path, options.axes)
    _check_page(path, len(found), options)
    return _choose_channels(path, found[max(0, options.page)], options)


def read_stack(path: str | Path, options: FrameOptions = PLAIN) -> np.ndarray:
    """Read all images of a file.

    Args:
        path: as for ``open_image``.
        options: its ``page`` is not used.

    Returns:
        (P, H, W, C), each page as ``read_image`` returns it.

    Raises:
        UserError: as ``read_image``.
    """
    return _choose_channels(path, _read_pages(path, options.axes), options)


def read_bgr(path: str | Path, options: FrameOptions = PLAIN) -> np.ndarray:
    """Read an image as models of 8-bit colour images take it.

    Args:
        path: as for ``open_image``.
        options: as for ``read_image``.

    Returns:
        (H, W, 3) uint8 in BGR order, as ``read_image``; grey is repeated.

    Raises:
        UserError: as ``read_image``, or the values do not fit into 8 bits, or there are channels
            that are no colours.
    """
    pixels = read_image(path, options)
    check_8_bit(path, pixels.dtype, pixels.shape[2])
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., ::-1])


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


def is_deep_or_tiff(path: str | Path) -> bool:
    """Whether Pillow would not give all of a file's numbers: a plain TIFF, or 16-bit colours."""
    if _tiff_header(path, FrameOptions(page=0)) is not None:
        return True
    with open_image(path) as image:
        return _is_deep(image)


def check_8_bit(path: str | Path, dtype: np.dtype, channels: int) -> None:
    """Refuse images that are no 8-bit grey or colour images.

    Args:
        path: the file, for the message.
        dtype: of its pixels.
        channels: without opacity.

    Raises:
        UserError: the values do not fit into 8 bits, or there are other than 1 or 3 channels.
    """
    if dtype != np.uint8:
        raise UserError(
            f"{path}: found pixels of type {dtype.name}, expected 8 bits a channel. Bring the "
            "intensities to 0..255, in all images alike, and save 8-bit PNG; or use a model that "
            "brings them to its range itself (INPUT.INTENSITY)."
        )
    if channels not in (1, 3):
        raise UserError(
            f"{path}: found {channels} channels, expected grey or RGB; choose 1 or 3 of them by "
            "INPUT.FRAMES.CHANNELS."
        )


def _check_page(path: str | Path, count: int, options: FrameOptions) -> None:
    if options.page < 0 and count > 1:
        raise UserError(
            f"{path}: found {count} pages, expected one image; choose one by INPUT.FRAMES.PAGE, or "
            "say by INPUT.FRAMES.AXES which axis of the file is that of the channels."
        )
    if options.page >= count:
        raise UserError(f"{path}: found {count} pages, expected number {options.page} (from 0).")


def _choose_channels(path: str | Path, pixels: np.ndarray, options: FrameOptions) -> np.ndarray:
    """Those of the channels, the last axis, that are wanted."""
    if not options.channels:
        return pixels
    count = pixels.shape[-1]
    if not all(0 <= channel < count for channel in options.channels):
        raise UserError(
            f"{path}: found {count} channels, expected those of numbers "
            f"{', '.join(map(str, options.channels))} (from 0)."
        )
    return pixels[..., list(options.channels)]


def _read_pages(path: str | Path, axes: str) -> np.ndarray:
    """All pages, (P, H, W, C), without opacity."""
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
    _check_page(path, header.pages, options)
    height, width = header.count("Y"), header.count("X")
    if Image.MAX_IMAGE_PIXELS is not None and height * width > 2 * Image.MAX_IMAGE_PIXELS:
        raise UserError(_too_large(path))
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


def _too_large(path: str | Path) -> str:
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    return (
        f"{path}: has more than {most:,} pixels, the most that an image may have. Cut it into "
        "tiles, or raise the limit (--max-pixels, INPUT.MAX_PIXELS) if you trust the file."
    )
