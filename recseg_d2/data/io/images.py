"""Image files: the one place where they are measured and read.

Whatever opens an image for training, prediction, evaluation or a check does it here, so that every
command takes the same files and says the same of those that it cannot take.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recseg_d2.config.options import FrameOptions
from recseg_d2.data.io.image_pages import ImageFile, check_page, read_pages, read_size
from recseg_d2.errors import UserError

PLAIN = FrameOptions()

_SHOWN = (0.1, 99.9)  # percentiles that become black and white


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
    return read_size(path, options)


def image_size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image, or of each one that a file holds; no pixel is decoded.

    Raises:
        UserError: the file is no image.
    """
    return read_size(path, FrameOptions(page=0)).size


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
    found = read_pages(path, options.axes)
    check_page(path, len(found), options)
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
    return _choose_channels(path, read_pages(path, options.axes), options)


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
    return as_bgr(path, read_image(path, options))


def as_bgr(path: str | Path, pixels: np.ndarray) -> np.ndarray:
    """What ``read_bgr`` makes of pixels.

    Args:
        path: the file, for messages.
        pixels: (..., H, W, C) as ``read_image`` and ``read_stack`` return them.

    Raises:
        UserError: as ``check_8_bit``.
    """
    check_8_bit(path, pixels.dtype, pixels.shape[-1])
    if pixels.shape[-1] == 1:
        return np.repeat(pixels, 3, axis=-1)
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
