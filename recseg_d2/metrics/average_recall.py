"""Class-agnostic average recall of ranked mask proposals. Numpy only.

How many of the true objects are among the first N proposals of their image, averaged over how well
they have to be covered. Two definitions exist, and both are here:

* COCO's (``pycocotools`` with ``useCats = 0``): recall at IoU 0.5, 0.55, .., 0.95, where every
  proposal, the best first, takes the object that it covers best among those still free; the mean
  over these thresholds. Crowd regions are no objects, and proposals on them take none.
* The continuous one (Hosang et al. 2015, "What makes for effective detection proposals?"): twice
  the area under the curve of recall against IoU from 0.5 to 1, where an object counts by the best
  overlap that any of the N proposals has with it.

Shape letters: P proposals of an image, N true objects (crowd regions included), A ranges of object
size, L limits on the number of proposals, T thresholds on IoU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

PERCENT = 100.0
THRESHOLDS = np.linspace(0.5, 0.95, 10)  # IoU, as COCO counts
LIMITS = (10, 100, 1000)
SIZES = {  # names and the smallest and largest area in pixels, both included, as in pycocotools
    "all": (0.0, 1e5**2),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e5**2),
}
LEAST_IOU = 0.5  # where the continuous definition's integral begins
_ALMOST_ONE = 1 - 1e-10  # a threshold of 1 is met by an overlap that is 1 but for rounding


@dataclass(frozen=True)
class ImageRecall:
    """All that is kept of an image: numbers, no masks.

    Attributes:
        matched: (A, L, T) int64, objects that the first proposals found.
        counts: (A,) int64, objects in each range of size.
        best: (L, n) float64, the best overlap of each of the n objects that are no crowd regions
            with any of the first proposals.
        areas: (n,) float64, areas of the objects in pixels.
    """

    matched: np.ndarray
    counts: np.ndarray
    best: np.ndarray
    areas: np.ndarray


class AverageRecall:
    """Recall over the images of a data set, additive over processes.

    Args:
        limits: numbers N of proposals that recall is computed for, increasing.
        thresholds: (T,) IoUs that recall is averaged over in COCO's definition, in (0, 1].
        images: what ``measure`` returned of images, by their ids, to begin with.

    Example:
        >>> recall = AverageRecall(limits=(1, 2))
        >>> overlaps = np.array([[0.9, 0.0], [0.0, 0.6]])  # two proposals, two objects
        >>> recall.update("image", overlaps, np.zeros(2, bool), np.full(2, 100.0))
        >>> recall.summary()["AR@2"]
        60.0
    """

    def __init__(
        self,
        limits: Sequence[int] = LIMITS,
        thresholds: np.ndarray = THRESHOLDS,
        images: Mapping[str | int, ImageRecall] | None = None,
    ) -> None:
        if list(limits) != sorted(set(limits)) or not limits or limits[0] < 1:
            raise ValueError(f"limits are {tuple(limits)}; expected increasing numbers from 1.")
        self.limits = tuple(limits)
        self.thresholds = np.asarray(thresholds, dtype=np.float64)
        self.images: dict[str | int, ImageRecall] = dict(images or {})

    def measure(self, ious: np.ndarray, crowd: np.ndarray, areas: np.ndarray) -> ImageRecall:
        """What is kept of an image.

        Args:
            ious: (P, N) overlaps of its proposals, the best one first, with its objects; with a
                crowd region, the share of the proposal that lies in it.
            crowd: (N,) bool, which objects are crowd regions.
            areas: (N,) areas of the objects in pixels.

        Raises:
            ValueError: the shapes do not fit.
        """
        crowd, areas = np.asarray(crowd, dtype=bool), np.asarray(areas, dtype=np.float64)
        ious = np.asarray(ious, dtype=np.float64)
        if ious.ndim != 2 or ious.shape[1:] != crowd.shape or crowd.shape != areas.shape:
            raise ValueError(
                f"overlaps {ious.shape}, crowd {crowd.shape} and areas {areas.shape}; expected "
                "(P, N), (N,) and (N,)."
            )
        ious = ious[: self.limits[-1]]
        # objects of other sizes may be found, but count neither as found nor as missed
        ignored = crowd | (areas < _bounds(0)) | (areas > _bounds(1))
        found = match_proposals(ious, crowd, ignored, self.thresholds)
        return ImageRecall(
            # greedy matching in the order of score: its first N rows are the matching of the best N
            # proposals
            matched=np.stack([found[:limit].sum(axis=0) for limit in self.limits], axis=1),
            counts=(~ignored).sum(axis=1),
            best=np.stack([ious[:n, ~crowd].max(axis=0, initial=0.0) for n in self.limits]),
            areas=areas[~crowd],
        )

    def update(
        self, image: str | int, ious: np.ndarray, crowd: np.ndarray, areas: np.ndarray
    ) -> None:
        """Add an image by its id, see ``measure``; one that was there is replaced."""
        self.images[image] = self.measure(ious, crowd, areas)

    def recalls(self) -> np.ndarray:
        """(A, L, T) recall in [0, 1] by COCO's definition; NaN where there is no object."""
        empty = np.zeros((len(SIZES), len(self.limits), len(self.thresholds)), dtype=np.int64)
        matched = sum((r.matched for r in self.images.values()), start=empty)
        counts = sum((r.counts for r in self.images.values()), start=empty[:, 0, 0])
        return matched / np.where(counts == 0, np.nan, counts)[:, None, None]

    def best_overlaps(self, size: str = "all") -> np.ndarray:
        """(L, n) best overlaps of all objects in a range of ``SIZES``."""
        low, high = SIZES[size]
        parts = [
            record.best[:, (record.areas >= low) & (record.areas <= high)]
            for record in self.images.values()
        ]
        return np.concatenate([np.zeros((len(self.limits), 0)), *parts], axis=1)

    def curve(self, ious: np.ndarray, size: str = "all") -> np.ndarray:
        """Recall against IoU by the continuous definition, for the figures.

        Args:
            ious: (M,) thresholds in [0, 1].
            size: a name in ``SIZES``.

        Returns:
            (L, M) the share of objects whose best overlap is at least each threshold; NaN where
            there is no object.
        """
        best = self.best_overlaps(size)
        # an overlap of equal masks is 1 but for rounding
        needed = np.minimum(ious, _ALMOST_ONE)
        reached = (best[:, None] >= needed[None, :, None]).sum(axis=2)
        return reached / (best.shape[1] or np.nan)

    def summary(self, continuous: bool = False) -> dict[str, float]:
        """The averages in [0, 100]; NaN where there is no object.

        Args:
            continuous: whether to average by the continuous definition instead of COCO's.

        Returns:
            {"AR@10": .., "AR@10-small": .., ..} for each limit and size.
        """
        means = self._continuous() if continuous else self.recalls().mean(axis=2)
        return {
            f"AR@{limit}" + ("" if size == "all" else f"-{size}"): float(PERCENT * means[a, n])
            for a, size in enumerate(SIZES)
            for n, limit in enumerate(self.limits)
        }

    def _continuous(self) -> np.ndarray:
        """(A, L): the integral of recall is the mean of what each object's overlap is beyond."""
        means = np.full((len(SIZES), len(self.limits)), np.nan)
        for a, size in enumerate(SIZES):
            best = self.best_overlaps(size)
            if best.shape[1]:
                beyond = np.maximum(best - LEAST_IOU, 0) / (1 - LEAST_IOU)
                means[a] = beyond.mean(axis=1)
        return means


def match_proposals(
    ious: np.ndarray, crowd: np.ndarray, ignored: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """Which proposals find an object of their own, exactly as COCOeval decides it.

    The best proposal first takes the object that it covers best, of equal ones the last, at least
    by the threshold, among those that no earlier one took. Only if there is none, it may go to an
    ignored object, which it then does not find; a crowd region is never used up.

    Args:
        ious: (P, N) in [0, 1], IoU of each proposal with each object, the best proposal first.
        crowd: (N,) bool, which objects are crowd regions.
        ignored: (A, N) bool, crowd regions and objects outside of each range of size.
        thresholds: (T,) IoUs from which an object counts as found.

    Returns:
        (P, A, T) bool.
    """
    needed = np.minimum(thresholds, _ALMOST_ONE)
    free = np.ones((len(ignored), len(thresholds), len(crowd)), dtype=bool)
    found = np.zeros((len(ious), len(ignored), len(thresholds)), dtype=bool)
    if ious.size == 0 or needed.size == 0:
        return found
    rows, columns = np.indices(found.shape[1:])
    for p in np.flatnonzero(ious.max(axis=1) >= needed.min()):  # the others find nothing anyway
        allowed = free & (ious[p] >= needed[:, None])
        counted = allowed & ~ignored[:, None]
        # an object that counts is preferred even where an ignored one is covered better, as in
        # pycocotools
        has_counted = counted.any(axis=2)
        choice = np.where(has_counted[..., None], counted, allowed)
        best = _last_argmax(np.where(choice, ious[p], -1.0))
        # several proposals may lie in one crowd
        taken = choice.any(axis=2) & ~crowd[best]
        # for each size and threshold on its own: each has its own matching
        free[rows[taken], columns[taken], best[taken]] = False
        found[p] = has_counted
    return found


def _last_argmax(values: np.ndarray) -> np.ndarray:
    """Index of the largest value along the last axis, of equal ones the last."""
    return values.shape[-1] - 1 - values[..., ::-1].argmax(axis=-1)


def _bounds(end: int) -> np.ndarray:
    """(A, 1), the smallest (0) or largest (1) areas of ``SIZES``."""
    return np.array([bounds[end] for bounds in SIZES.values()])[:, None]
