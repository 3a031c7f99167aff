"""What the images and objects of a data set are like, as far as a training depends on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recseg_d2.config.options import FrameOptions
from recseg_d2.data.annotations import count_objects, decode_segmentation
from recseg_d2.data.io.images import PLAIN, read_image
from recseg_d2.errors import UserError
from recseg_d2.layers.intensity import IntensityOptions, unit_intensity

_LOOKED_AT = 60  # images, spread over the data set


@dataclass(frozen=True)
class DataFacts:
    """What was found in a sample of a data set's images.

    Attributes:
        images: number of all images.
        looked_at: number of images in the sample.
        sizes: (looked_at, 2) heights and widths in pixels.
        channels: how many images of the sample have so many channels.
        types: how many images have so many values, by the name of the type.
        counts: (images,) number of objects of every image.
        diameters: (objects,) square roots of the areas of the sample's objects, in pixels.
        longest: (objects,) the longer sides of their boxes, in pixels.
        backgrounds: (looked_at,) median of each image's values outside of objects, where its
            percentiles 1 and 99.8 are 0 and 1; NaN where objects cover all of it.
    """

    images: int
    looked_at: int
    sizes: np.ndarray
    channels: Counter[int]
    types: Counter[str]
    counts: np.ndarray
    diameters: np.ndarray
    longest: np.ndarray
    backgrounds: np.ndarray


def look_at(records: Sequence[dict[str, Any]], frames: FrameOptions = PLAIN) -> DataFacts:
    """Look at some images of a data set.

    Args:
        records: Detectron2's standard dicts, at least one.
        frames: which page and channels of a file to look at.

    Raises:
        UserError: no image looked at has an object, or a file cannot be used.
    """
    step = max(1, len(records) // _LOOKED_AT)
    sample = list(records[::step])[:_LOOKED_AT]
    sizes, channels, types = [], Counter[int](), Counter[str]()
    diameters, longest, backgrounds = [], [], []
    for record in sample:
        image = read_image(record["file_name"], frames)
        size = image.shape[0], image.shape[1]
        sizes.append(size)
        channels[image.shape[2]] += 1
        types[image.dtype.name] += 1
        free = np.ones(size, bool)
        for annotation in record.get("annotations", []):
            if annotation.get("iscrowd", 0):
                continue
            mask = decode_segmentation(annotation["segmentation"], size, record["file_name"])
            free &= mask == 0
            if mask.any():
                rows, columns = np.nonzero(mask)
                diameters.append(float(len(rows)) ** 0.5)
                longest.append(max(np.ptp(rows), np.ptp(columns)) + 1)
        backgrounds.append(_background(image, free))
    if not diameters:
        raise UserError(
            f"{sample[0]['file_name']} and {len(sample) - 1} other images: found no object, "
            "expected some: check that the labels are those of the images (recseg check-dataset)."
        )
    return DataFacts(
        images=len(records),
        looked_at=len(sample),
        sizes=np.array(sizes),
        channels=channels,
        types=types,
        counts=np.array([count_objects(record) for record in records]),
        diameters=np.array(diameters),
        longest=np.array(longest, float),
        backgrounds=np.array(backgrounds),
    )


def _background(image: np.ndarray, free: np.ndarray) -> float:
    """Median of an image (H, W, C), its percentiles at 0 and 1, where ``free`` (H, W) is true."""
    values = unit_intensity(image, IntensityOptions(kind="percentiles")).mean(axis=2)[free]
    return float(np.median(values)) if len(values) else math.nan
