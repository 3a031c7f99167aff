"""What the layouts of rosettes share."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator

import numpy as np

from recseg_d2.data.rosettes import draw_rosette

_HUE_STEP = (5**0.5 - 1) / 2  # the golden ratio keeps the hues of neighbouring labels apart


def numbered(seeds: list[int], size: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(1, 2, ..., image, label map) of the rosettes of some seeds."""
    for number, seed in enumerate(seeds, start=1):
        image, labels = draw_rosette(seed, size)
        yield number, image, labels


def hue_palette() -> list[int]:
    """256 colours as PIL wants them, 768 numbers in 0..255; the first colour is black."""
    hues = (np.arange(1, 256) * _HUE_STEP) % 1
    colours = [colorsys.hsv_to_rgb(hue, 0.75, 1.0) for hue in hues]
    return [0, 0, 0, *(round(255 * channel) for colour in colours for channel in colour)]
