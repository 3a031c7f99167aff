"""Measurements of objects, by scikit-image's ``regionprops_table``.

Of each object: area, perimeter, centroid, axes of the ellipse with the same second moments, its
orientation (radians from the rows' axis, counter-clockwise), eccentricity, solidity (share of its
convex hull), mean intensity of each channel, and how many others touch it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from recseg_d2 import rle
from recseg_d2.data.formats.base import ImageObjects
from recseg_d2.errors import UserError
from recseg_d2.files import write_whole

Row = dict[str, Any]

_LENGTHS = ("perimeter", "axis_major_length", "axis_minor_length")
_PLAIN = ("orientation", "eccentricity", "solidity")
_TOUCHING = np.ones((3, 3), bool)


def measure(found: ImageObjects, image: np.ndarray, pixel_size: float | None = None) -> list[Row]:
    """A row for each object that has a pixel.

    Args:
        found: the objects of the image.
        image: (H, W, C) of any type of number, for intensities.
        pixel_size: side of a pixel in micrometres, which adds columns "..._um"; None adds none.

    Raises:
        UserError: scikit-image is not installed.
    """
    labels = found.label_map()
    rows = []
    for number, one in enumerate(found.objects, start=1):
        mask = rle.decode(one.mask)
        if mask.any():
            row = {"file": found.file_name, "object": number, "class": found.name_of(one)}
            score = {} if one.score is None else {"score": one.score}
            shape = _shape(mask, image)
            sizes = {} if pixel_size is None else _in_micrometres(shape, pixel_size)
            rows.append({**row, **score, **shape, **sizes, "touching": _touching(labels, number)})
    return rows


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Write a table; columns that a row lacks stay empty."""
    rows = list(rows)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with write_whole(path) as file:
        writer = csv.DictWriter(file, columns or ["file", "object"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _shape(mask: np.ndarray, image: np.ndarray) -> Row:
    """What ``regionprops_table`` says of an object, in pixels of the whole image."""
    box = ndimage.find_objects(mask)[0]
    table = _regionprops_table()(
        mask[box],
        image[box],
        properties=("area", "centroid", "intensity_mean", *_LENGTHS, *_PLAIN),
    )
    found = {name: values[0].item() for name, values in table.items()}
    means = {k: v for k, v in found.items() if k.startswith("intensity_mean")}
    return {
        "area": int(found["area"]),
        "centroid_x": found["centroid-1"] + box[1].start,
        "centroid_y": found["centroid-0"] + box[0].start,
        **{name: found[name] for name in (*_LENGTHS, *_PLAIN)},
        **{f"intensity_mean_{n}": value for n, value in enumerate(means.values())},
    }


def _in_micrometres(shape: Row, pixel_size: float) -> Row:
    lengths = {f"{name}_um": shape[name] * pixel_size for name in _LENGTHS}
    return {"area_um2": shape["area"] * pixel_size**2, **lengths}


def _touching(labels: np.ndarray, number: int) -> int:
    """How many other labels touch one, also at a corner."""
    around = ndimage.binary_dilation(labels == number, _TOUCHING)
    beside: Sequence[int] = np.unique(labels[around]).tolist()
    return len(set(beside) - {0, number})


def _regionprops_table() -> Any:
    try:
        from skimage.measure import regionprops_table
    except ImportError as error:
        raise UserError(
            "measurements need scikit-image; run `pip install recseg_d2[baseline]`."
        ) from error
    return regionprops_table
