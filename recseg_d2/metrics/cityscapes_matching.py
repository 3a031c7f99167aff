"""Which pixels predictions share with the instances of a Cityscapes image.

Everything that average precision needs of an image, in small tables that add up over images. The
rules are those of the benchmark's evaluation (Cordts et al. 2016, section 4 and the public
scripts). In an instance id image a pixel has

    label * 1000 + instance     in an instance
    label                       in a group that was not taken apart, or another region
    a label of ``VOID_LABELS``  where nothing counts; caravans and trailers taken apart are not void

Shape letters: H W pixels, G segments (instances and groups of the evaluated labels), P predictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recseg_d2.metrics.stereo_distance import distance_of_segments

FIRST_INSTANCE = 1000  # ids below are groups and regions
VOID_LABELS = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)
_IDS = 1 << 16  # an id is a uint16


@dataclass(frozen=True)
class Crop:
    """The part of a mask that has all its pixels.

    Attributes:
        top: row of the crop's first row in the image.
        left: column of the image that the crop begins with.
        mask: (h, w) bool; without pixels it is (0, 0).
    """

    top: int
    left: int
    mask: np.ndarray


@dataclass(frozen=True)
class TrueScene:
    """The segments of an image.

    Attributes:
        codes: (H, W) uint16, k + 1 in the k-th segment, G + 1 in void, 0 elsewhere.
        ids: (G,) int64, the instance id of each segment, ascending.
        pixels: (G,) int64, area of each segment in pixels.
        distances: (G,) float64, median distance of each segment in metres; infinite if unknown.
        densities: (G,) float64, share of pixels of which the distance is known.
        has_distances: whether distances were given.
    """

    codes: np.ndarray
    ids: np.ndarray
    pixels: np.ndarray
    distances: np.ndarray
    densities: np.ndarray
    has_distances: bool


@dataclass(frozen=True)
class SceneMatches:
    """A ``TrueScene`` without its image, and the predictions in it that have any pixel.

    Attributes:
        ids: (G,) int64; this, ``pixels``, ``distances``, ``densities`` and ``has_distances`` are
            those of ``TrueScene``.
        labels: (P,) int64, predicted label ids.
        scores: (P,) float64, the greater the more certain.
        areas: (P,) int64, pixels of each prediction.
        void: (P,) int64, pixels of each prediction that lie in void.
        intersections: (P, G) int64, those of them in each segment.
    """

    ids: np.ndarray
    pixels: np.ndarray
    distances: np.ndarray
    densities: np.ndarray
    has_distances: bool
    labels: np.ndarray
    scores: np.ndarray
    areas: np.ndarray
    void: np.ndarray
    intersections: np.ndarray


def label_of(ids: np.ndarray) -> np.ndarray:
    """Label id of instance ids."""
    return np.where(ids < FIRST_INSTANCE, ids, ids // FIRST_INSTANCE)


def read_scene(
    instance_ids: np.ndarray, label_ids: Sequence[int], distances: np.ndarray | None = None
) -> TrueScene:
    """Find the segments of an instance id image.

    Args:
        instance_ids: (H, W) uint16.
        label_ids: the labels that are evaluated.
        distances: (H, W) float metres, NaN where unknown; None if there are none.

    Raises:
        ValueError: not an image of uint16, or the distances are of another size.
    """
    if instance_ids.ndim != 2 or instance_ids.dtype != np.uint16:
        raise ValueError(
            f"found an array of shape {instance_ids.shape} and type {instance_ids.dtype}, expected "
            "instance ids (H, W) of type uint16"
        )
    if distances is not None and distances.shape != instance_ids.shape:
        raise ValueError(f"found distances of {distances.shape}, expected {instance_ids.shape}")
    areas = np.bincount(instance_ids.ravel(), minlength=_IDS)
    ids = np.flatnonzero(areas)
    ids = ids[np.isin(label_of(ids), label_ids)]
    table = np.zeros(_IDS, dtype=np.uint16)
    table[ids] = np.arange(1, len(ids) + 1)
    table[list(VOID_LABELS)] = len(ids) + 1
    # one table look-up instead of a comparison for each segment
    codes = np.take(table, instance_ids, mode="clip")  # faster than the bounds check
    median, density = np.full(len(ids), np.inf), np.zeros(len(ids))
    if distances is not None:
        segments = np.where(codes > len(ids), 0, codes)
        median, density = distance_of_segments(segments, len(ids), distances)
    return TrueScene(codes, ids, areas[ids], median, density, distances is not None)


def crop_mask(mask: np.ndarray) -> Crop:
    """Cut an (H, W) mask down to its tight box; what is not 0 is inside."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return Crop(0, 0, np.zeros((0, 0), dtype=mask.dtype))
    band = mask[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(band.any(axis=0))
    return Crop(int(rows[0]), int(columns[0]), band[:, columns[0] : columns[-1] + 1])


def match_scene(
    scene: TrueScene, labels: Sequence[int], scores: Sequence[float], crops: Iterable[Crop]
) -> SceneMatches:
    """Count the pixels that each prediction shares with each segment.

    Predictions may overlap each other. Those without a pixel are left out.

    Args:
        scene: the ground truth of the image.
        labels: (P,) Cityscapes' label id of each prediction.
        scores: (P,) finite, higher is more certain.
        crops: (P,) their masks; one is held at a time.
    """
    count = len(scene.ids) + 2  # elsewhere, the segments, void
    rows = [np.bincount(_codes_inside(scene.codes, crop), minlength=count) for crop in crops]
    table = np.array(rows, dtype=np.int64).reshape(-1, count)
    areas = table.sum(axis=1)
    kept = areas > 0
    return SceneMatches(
        ids=scene.ids,
        pixels=scene.pixels,
        distances=scene.distances,
        densities=scene.densities,
        has_distances=scene.has_distances,
        labels=np.asarray(labels, dtype=np.int64)[kept],
        scores=np.asarray(scores, dtype=np.float64)[kept],
        areas=areas[kept],
        void=table[kept, -1],
        intersections=table[kept, 1:-1],
    )


def _codes_inside(codes: np.ndarray, crop: Crop) -> np.ndarray:
    height, width = crop.mask.shape
    return codes[crop.top : crop.top + height, crop.left : crop.left + width][crop.mask]
