"""What the layouts share: rosettes and scenes by their seeds, and how images are saved."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from recseg_d2.data.synthetic.rosettes import draw_rosette
from recseg_d2.data.synthetic.scenes import MIN_SIZE, draw_scene
from recseg_d2.errors import UserError
from recseg_d2.files import save_image

HEIGHT_SHARE = 0.75  # of scenes: images are wider than high, as photographs are

_JPEG_QUALITY = 95
_HUE_STEP = (5**0.5 - 1) / 2  # the golden ratio keeps the hues of neighbouring labels apart


@dataclass(frozen=True)
class Scene:
    """A drawn image.

    Attributes:
        number: number of the scene, from 1.
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, 0 is background, k the k-th object that is left after cropping.
        classes: index of the shape's class for each object.
    """

    number: int
    image: np.ndarray
    labels: np.ndarray
    classes: list[int]


def numbered_rosettes(seeds: list[int], size: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(1, 2, ..., image, label map) of the rosettes of some seeds."""
    for number, seed in enumerate(seeds, start=1):
        image, labels = draw_rosette(seed, size)
        yield number, image, labels


def numbered_scenes(seeds: list[int], size: int) -> Iterator[Scene]:
    """The scenes of some seeds, ``size`` wide, cropped to three quarters of it in height.

    Raises:
        UserError: ``size`` is less than what shapes need.
    """
    if size < MIN_SIZE:
        raise UserError(f"size: found {size}, expected at least {MIN_SIZE} for scenes.")
    for number, seed in enumerate(seeds, start=1):
        image, labels, classes = draw_scene(seed, size)
        top = (size - round(HEIGHT_SHARE * size)) // 2
        rows = slice(top, top + round(HEIGHT_SHARE * size))
        left, consecutive = np.unique(labels[rows], return_inverse=True)
        offset = 0 if left[0] == 0 else 1
        cropped = (consecutive.reshape(labels[rows].shape) + offset).astype(np.uint8)
        kept = [classes[label - 1] for label in left.tolist() if label > 0]
        yield Scene(number, image[rows], cropped, kept)


def write_image(path: Path, pixels: np.ndarray, with_palette: bool = False) -> None:
    """Save an image; folders are made.

    Args:
        path: the file to write; its ending tells the format.
        pixels: (H, W) or (H, W, 3), as the format takes them.
        with_palette: save (H, W) uint8 as indices of a palette of well told colours.
    """
    image = Image.fromarray(pixels)
    if with_palette:
        image.putpalette(hue_palette())
    save_image(path, image, quality=_JPEG_QUALITY)


def hue_palette() -> list[int]:
    """256 colours as PIL wants them, 768 numbers in 0..255; the first colour is black."""
    hues = (np.arange(1, 256) * _HUE_STEP) % 1
    colours = [colorsys.hsv_to_rgb(hue, 0.75, 1.0) for hue in hues]
    return [0, 0, 0, *(round(255 * channel) for colour in colours for channel in colour)]
