"""From an image file to the array that a model's input is made of: channels, their order, depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from detectron2.config import CfgNode

from recseg_d2.config import read_options
from recseg_d2.config.options import InputOptions
from recseg_d2.data.io.image_files import limit_pixels
from recseg_d2.data.io.image_pages import ImageFile
from recseg_d2.data.io.images import as_bgr, check_8_bit, read_image, read_stack
from recseg_d2.errors import UserError


class ImageReader:
    """Reads images as the model of a config takes them.

    Where INPUT.INTENSITY.KIND is "stored" that is 8 bits in three channels. Otherwise images of any
    depth are taken, and as many channels as MODEL.PIXEL_MEAN has. INPUT.FRAMES says which page and
    channels of a file, and INPUT.MAX_PIXELS limits images from then on in this process.

    Args:
        cfg: config of the run.
    """

    def __init__(self, cfg: CfgNode) -> None:
        options = read_options(cfg, InputOptions)
        self.intensity, self.frames = options.intensity, options.frames
        limit_pixels(options.max_pixels)
        self.format = cfg.INPUT.FORMAT
        self.channels = len(cfg.MODEL.PIXEL_MEAN)

    def read(self, path: str | Path) -> np.ndarray:
        """A file as ``from_array`` takes it: (H, W, C), colours in BGR order.

        Raises:
            UserError: the file cannot be read, or is of another depth than the model takes.
        """
        return self.bgr(path, read_image(path, self.frames))

    def read_stack(self, path: str | Path) -> np.ndarray:
        """All pages of a file, (P, H, W, C), each as ``read`` has it, whatever INPUT.FRAMES.PAGE.

        Raises:
            UserError: as ``read``.
        """
        return self.bgr(path, read_stack(path, self.frames))

    def __call__(self, path: str | Path) -> np.ndarray:
        """(H, W, C), three channels in the order of INPUT.FORMAT.

        Raises:
            UserError: the file cannot be read, or the model cannot use its channels or depth.
        """
        image = self.read(path)
        if self.intensity.kind != "stored":
            image = _plain(with_channels(image, self.channels, str(path)))
        return self._ordered(image)

    def check(self, path: str, image: ImageFile) -> None:
        """Refuse a file whose numbers the model cannot use, by what it says of itself.

        Raises:
            UserError: as a call.
        """
        if self.intensity.kind == "stored":
            check_8_bit(path, image.dtype, image.channels)
        else:
            with_channels(np.empty((0, 0, image.channels)), self.channels, path)

    def from_array(self, image: np.ndarray) -> np.ndarray:
        """The same of an array in BGR order, as OpenCV reads files.

        Args:
            image: (H, W, 3) uint8; where the kind is not "stored" (H, W) or (H, W, C) of any type.

        Raises:
            UserError: the array is of another type or shape.
        """
        found = f"An image given as an array has dtype {image.dtype} and shape {image.shape}"
        if self.intensity.kind == "stored":
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise UserError(f"{found}; expected uint8 of shape (H, W, 3) in BGR order.")
            return self._ordered(image)
        image = image[..., None] if image.ndim == 2 else image
        if image.ndim != 3 or image.dtype.kind not in "buif" or not image.size:
            raise UserError(f"{found}; expected numbers of shape (H, W) or (H, W, channels).")
        image = with_channels(image, self.channels, "An image given as an array")
        return self._ordered(_plain(image))

    def bgr(self, path: str | Path, pixels: np.ndarray) -> np.ndarray:
        """Pixels as ``read`` has them.

        Args:
            path: of the file, or any name, for messages.
            pixels: (..., H, W, C) of any type, colours in RGB order.

        Raises:
            UserError: they are of another depth, or have other channels, than the model takes.
        """
        if self.intensity.kind == "stored":
            return as_bgr(path, pixels)
        return pixels[..., ::-1] if pixels.shape[-1] == 3 else pixels

    def _ordered(self, image: np.ndarray) -> np.ndarray:
        """An image in BGR order as INPUT.FORMAT has it."""
        if image.shape[2] == 3 and self.format != "BGR":
            image = image[..., ::-1]
        return np.ascontiguousarray(image)


def _plain(image: np.ndarray) -> np.ndarray:
    """8 bits as they are, all other numbers as float32, which every library takes."""
    return image if image.dtype == np.uint8 else image.astype(np.float32)


def with_channels(image: np.ndarray, wanted: int, source: str) -> np.ndarray:
    """An image with as many channels as a model has.

    Grey is repeated for three channels, colours are averaged for one.

    Args:
        image: (H, W, C) as ``read_image`` returns it.
        wanted: number of channels.
        source: name of the file, for the error message.

    Raises:
        UserError: there is no such way from the one number to the other.
    """
    found = image.shape[2]
    if found == wanted:
        return image
    if (found, wanted) == (1, 3):
        return np.repeat(image, 3, axis=2)
    if (found, wanted) == (3, 1):
        return image.mean(axis=2, keepdims=True)
    raise UserError(
        f"{source}: found {found} channels, expected {wanted}, as MODEL.PIXEL_MEAN has values. "
        "Train and predict on images with the same channels."
    )
