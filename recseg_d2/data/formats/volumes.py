"""Measurements of the objects of stacks.

Of each object: volume (voxels), the first and the last slice that it is in (from 0), its centroid
(columns, rows, slices) and its mean intensity in each channel.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from recseg_d2.data.formats.measurements import Row


def measure_volumes(
    file_name: str, labels: np.ndarray, pages: np.ndarray, voxel: float | None = None
) -> list[Row]:
    """A row for each object of a stack.

    Args:
        file_name: of the stack.
        labels: (P, H, W) integers; 0 is background.
        pages: (P, H, W, C) of any type of number.
        voxel: volume of a voxel in cubic micrometres, which adds "volume_um3"; None adds none.
    """
    rows = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        inside = labels[box] == number
        volume = int(inside.sum())
        start = np.array([part.start for part in box])
        z, y, x = (np.argwhere(inside).mean(axis=0) + start).tolist()
        means = pages[box][inside].mean(axis=0, dtype=np.float64).tolist()
        rows.append(
            {
                "file": file_name,
                "object": number,
                "volume": volume,
                **({} if voxel is None else {"volume_um3": volume * voxel}),
                "first_slice": box[0].start,
                "last_slice": box[0].stop - 1,
                **{"centroid_x": x, "centroid_y": y, "centroid_z": z},
                **{f"intensity_mean_{n}": value for n, value in enumerate(means)},
            }
        )
    return rows
