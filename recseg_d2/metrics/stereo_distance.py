"""How far objects are, from a stereo camera's disparity.

Source: the Cityscapes data set: its disparity files hold 256 d + 1 for a disparity of d pixels, 0
where none was measured, and a point of disparity d is B f / d metres away, of a baseline of B
metres and a focal length of f pixels.
"""

from __future__ import annotations

import numpy as np

DISPARITY_STEPS = 256.0  # values of a disparity file in a pixel of disparity


def distances_from_disparity(disparity: np.ndarray, baseline: float, focal: float) -> np.ndarray:
    """Distance of each pixel along the optical axis.

    Args:
        disparity: (H, W) uint16, as Cityscapes' files have it.
        baseline: distance between the two cameras in metres.
        focal: focal length along x in pixels.

    Returns:
        (H, W) float64 metres; infinite at no disparity, NaN where none was measured.
    """
    pixels = (disparity.astype(np.float64) - 1.0) / DISPARITY_STEPS
    with np.errstate(divide="ignore"):
        return np.where(disparity > 0, baseline * focal / np.maximum(pixels, 0.0), np.nan)


def distance_of_segments(
    codes: np.ndarray, count: int, distances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The median distance of each segment, and for how much of it a distance was measured.

    Args:
        codes: (H, W) integers, 1..count in the segments and 0 elsewhere.
        count: number of segments; each has at least one pixel.
        distances: (H, W) distance of each pixel in metres, NaN where unknown.

    Returns:
        median, (count,) float64 metres over the pixels that were measured, infinite where none was;
        and density, (count,) float64, the share of pixels that were measured, in [0, 1].
    """
    inside = codes > 0
    labels, values = codes[inside], distances[inside]
    known = ~np.isnan(values)
    areas = np.bincount(labels, minlength=count + 1)[1:]
    labels, values = labels[known], values[known]
    # one sort puts all segments' values side by side, instead of a mask of the image for each
    order = np.argsort(labels, kind="stable")
    measured = np.bincount(labels, minlength=count + 1)[1:]
    groups = np.split(values[order], np.cumsum(measured)[:-1])
    median = [float(np.median(group)) if group.size else np.inf for group in groups[:count]]
    return np.array(median, dtype=np.float64), measured / areas
