"""Segmentation without learning: the line that a trained model has to pass.

scikit-image is optional (the extra ``baseline``) and imported where it is used. Both methods take
an image (H, W, 3) or (H, W) and return a label map (H, W) int32 with labels 0..n, 0 = background.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
from scipy import ndimage

from recseg_d2.errors import UserError

LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 weights of red, green, blue
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def segment_leaves(
    image: np.ndarray,
    blur: float = 0.3,
    seed_smoothing: float = 0.2,
    seed_depth: float = 0.04,
) -> np.ndarray:
    """Leaves of one plant: excess green, Otsu, then a watershed from the thickest places.

    The plant is the largest connected region above Otsu's threshold of the excess green index
    (Woebbecke et al. 1995). Where the smoothed distance to its outline has a maximum that stands
    out, a leaf starts; the watershed of the distance divides the plant among them. The defaults
    were chosen on ``synthetic_rosettes_dev``.

    Args:
        image: (H, W, 3) uint8 RGB.
        blur: standard deviation in pixels by which the index is smoothed against sensor noise.
        seed_smoothing: standard deviation by which the distance is smoothed, relative to its
            maximum (about half the width of the widest leaf, or of the plant's centre).
        seed_depth: how far a maximum must stand out, relative to the same.

    Returns:
        (H, W) int32 label map.

    Raises:
        UserError: the image has no colour, or scikit-image is not installed.
    """
    filters, morphology, segmentation = _skimage("filters", "morphology", "segmentation")
    index = ndimage.gaussian_filter(excess_green(image), blur)
    plant = _largest_region(index > filters.threshold_otsu(index))
    distance = ndimage.distance_transform_edt(plant)
    thickness = float(distance.max())
    if thickness == 0.0:
        return np.zeros(plant.shape, dtype=np.int32)
    smooth = ndimage.gaussian_filter(distance, seed_smoothing * thickness)
    tops = morphology.h_maxima(smooth, seed_depth * thickness).astype(bool) & plant
    seeds, _ = ndimage.label(tops, EIGHT_NEIGHBOURS)
    return segmentation.watershed(-distance, seeds, mask=plant).astype(np.int32)


def segment_nuclei(image: np.ndarray, min_area: int = 20) -> np.ndarray:
    """Blobs on a plain ground: Otsu's threshold, holes filled, connected components.

    Works for light objects on a dark ground and the reverse: the ground is what most pixels of the
    image's border show.

    Args:
        image: (H, W) or (H, W, 3) grey or RGB, any range.
        min_area: components with fewer pixels are dropped as noise.

    Returns:
        (H, W) int32 label map.

    Raises:
        UserError: scikit-image is not installed.
    """
    (filters,) = _skimage("filters")
    grey = to_grey(image)
    mask = grey > filters.threshold_otsu(grey)
    if _border(mask).mean() > 0.5:
        mask = ~mask
    regions, _ = ndimage.label(ndimage.binary_fill_holes(mask), EIGHT_NEIGHBOURS)
    return _drop_small(regions, min_area)


# What `--method` may be.
METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "leaves": segment_leaves,
    "nuclei": segment_nuclei,
}


def excess_green(image: np.ndarray) -> np.ndarray:
    """(H, W) float64, 2g - r - b of the shares of green, red, blue in a pixel; in [-1, 2].

    Raises:
        UserError: the image is not (H, W, 3).
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise UserError(
            f"leaves: found an image of shape {image.shape}, expected RGB (H, W, 3); green cannot "
            "be told in a grey image."
        )
    pixels = image.astype(np.float64)
    total = pixels.sum(axis=2)
    index = 3.0 * pixels[..., 1] - total
    return np.divide(index, total, out=np.zeros_like(total), where=total > 0)


def to_grey(image: np.ndarray) -> np.ndarray:
    """(H, W) float64 luminance of a grey or RGB image."""
    pixels = np.asarray(image, dtype=np.float64)
    return pixels @ LUMINANCE if pixels.ndim == 3 else pixels


def _largest_region(mask: np.ndarray) -> np.ndarray:
    """The largest connected region of a mask with its holes filled; empty stays empty."""
    regions, count = ndimage.label(ndimage.binary_fill_holes(mask), EIGHT_NEIGHBOURS)
    if count == 0:
        return np.zeros(mask.shape, dtype=bool)
    areas = np.bincount(regions.ravel())
    return regions == 1 + areas[1:].argmax()


def _border(mask: np.ndarray) -> np.ndarray:
    """The outermost pixels, as one row."""
    return np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def _drop_small(regions: np.ndarray, min_area: int) -> np.ndarray:
    """Remove regions under ``min_area`` pixels and number the others consecutively."""
    kept = np.bincount(regions.ravel()) >= min_area
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[regions]


def _skimage(*names: str) -> list[ModuleType]:
    """Submodules of scikit-image."""
    try:
        import skimage
    except ImportError as error:
        raise UserError(
            "the classical baselines need scikit-image: pip install 'recseg_d2[baseline]'."
        ) from error
    return [getattr(skimage, name) for name in names]  # skimage loads them on access
