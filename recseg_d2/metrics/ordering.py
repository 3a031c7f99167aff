"""In which order objects were found.

Source: Salvador et al. 2017, "Recurrent Neural Networks for Semantic Instance Segmentation",
section 4.5 (table 3, figure 5). The code of the paper does not contain this analysis, so what the
text leaves open is decided here and said so.

Shape letters: N objects of an image in the order of discovery, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

MIN_SHIFT = 0.15  # of the paper's rule for consecutive pairs

# The paper's three strategies; those of the opposite direction have the same tau, negated.
STRATEGIES = ("r2l", "b2t", "l2s")
# What a consecutive pair can follow: right to left, left to right, bottom to top, top to bottom,
# large to small, small to large. A pair may follow several, or none.
PATTERNS = ("r2l", "l2r", "b2t", "t2b", "l2s", "s2l")


def pair_counts(values: np.ndarray) -> tuple[int, int, int]:
    """How many pairs of a sequence are in falling order.

    Args:
        values: (N,) numbers in the order of discovery, NaN nowhere.

    Returns:
        concordant pairs (the earlier value is larger), discordant pairs (it is smaller), and all
        N (N - 1) / 2 pairs; pairs of equal values are neither.
    """
    values = np.asarray(values)
    earlier, later = np.triu_indices(len(values), k=1)
    difference = values[earlier] - values[later]
    return int((difference > 0).sum()), int((difference < 0).sum()), len(difference)


def kendall_tau(values: np.ndarray) -> float:
    """Kendall's tau of the order of discovery against sorting by ``values``, largest first.

    tau = (P - Q) / (N (N - 1) / 2), as section 4.5 has it (tau-a: ties are neither in P nor in Q).

    Args:
        values: (N,) numbers in the order of discovery.

    Returns:
        in [-1, 1]: 1 where the largest comes first, and so on; NaN for fewer than two objects.
    """
    concordant, discordant, pairs = pair_counts(values)
    return (concordant - discordant) / pairs if pairs else float("nan")


def strategy_values(centers: np.ndarray, areas: np.ndarray) -> dict[str, np.ndarray]:
    """What to give ``kendall_tau`` for each of ``STRATEGIES``.

    Args:
        centers: (N, 2) float, y and x of the centres of mass, y downwards.
        areas: (N,) areas of the objects in pixels.
    """
    return {"r2l": centers[:, 1], "b2t": centers[:, 0], "l2s": np.asarray(areas)}


def pattern_values(centers: np.ndarray, areas: np.ndarray) -> dict[str, np.ndarray]:
    """The same for each of ``PATTERNS``, those of the opposite directions too."""
    values = strategy_values(centers, areas).values()
    signed = (sign * of_strategy for of_strategy in values for sign in (1, -1))
    return dict(zip(PATTERNS, signed, strict=True))


class TauSums:
    """Kendall's tau over images, by the name of what they were sorted by; additive."""

    def __init__(self) -> None:
        # images, tau, tau squared, concordant minus discordant pairs, all pairs
        self._sums: dict[str, np.ndarray] = {}

    def update(self, values: Mapping[str, np.ndarray]) -> None:
        """Add an image: (N,) values by name, as for ``kendall_tau``; fewer than 2 add nothing."""
        for name, sequence in values.items():
            concordant, discordant, pairs = pair_counts(sequence)
            # an image with one object has no order
            if pairs:
                balance = concordant - discordant
                tau = balance / pairs
                self._add(name, np.array([1.0, tau, tau * tau, balance, pairs]))

    def rows(self) -> list[dict[str, Any]]:
        """A row for each name, in the order in which they came.

        Returns:
            rows with "sorting" (the name), "tau" (mean over the images with two objects or more),
            "std" (sample standard deviation, NaN for one image), "tau_of_all_pairs" (all pairs
            together, so that images with many objects weigh more), "images" and "pairs".
        """
        return [self._row(name, *sums) for name, sums in self._sums.items()]

    @staticmethod
    def _row(
        name: str, images: float, total: float, squares: float, balance: float, pairs: float
    ) -> dict[str, Any]:
        mean, std = total / images, float("nan")
        if images > 1:
            std = float(np.sqrt(max(squares - images * mean**2, 0.0) / (images - 1)))
        return {
            "sorting": name,
            "tau": float(mean),
            "std": std,
            "tau_of_all_pairs": float(balance / pairs),
            "images": int(images),
            "pairs": int(pairs),
        }

    def _add(self, name: str, sums: np.ndarray) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + sums


def pair_patterns(
    centers: np.ndarray,
    areas: np.ndarray,
    image_size: tuple[int, int],
    min_shift: float = MIN_SHIFT,
) -> np.ndarray:
    """Which of ``PATTERNS`` each pair of consecutive objects follows.

    A pair goes right to left where the second centre is to the left of the first by more than
    ``min_shift`` times the image's width; up and down likewise with its height. For sizes the paper
    names no measure: here the areas differ by more than ``min_shift`` of the larger of the two, so
    that the rule means the same for small and for large objects.

    Args:
        centers: (N, 2) float, y and x of each object's centre in pixels.
        areas: (N,) areas of the objects in pixels, above 0.
        image_size: height and width of the image in pixels.
        min_shift: a share.

    Returns:
        (max(N - 1, 0), 6) bool.
    """
    centers, areas = np.asarray(centers, dtype=float), np.asarray(areas, dtype=float)
    steps = (centers[1:] - centers[:-1]) / np.asarray(image_size, dtype=float)
    # as a share of the larger one, so that growing and shrinking by the same factor are alike
    growth = (areas[1:] - areas[:-1]) / np.maximum(areas[1:], areas[:-1])
    down, right = steps[:, 0], steps[:, 1]
    columns = (-right, right, -down, down, -growth, growth)
    return np.stack([change > min_shift for change in columns], axis=1)


class PairCounts:
    """Patterns of consecutive pairs by the categories of the two; additive.

    The two categories are taken without order, as the paper's "horse + person" is.

    Args:
        num_classes: C, number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.pairs = np.zeros((num_classes, num_classes), dtype=np.int64)
        self.follow = np.zeros((num_classes, num_classes, len(PATTERNS)), dtype=np.int64)

    def update(self, classes: np.ndarray, patterns: np.ndarray) -> None:
        """Add an image.

        Args:
            classes: (N,) in [0, C), in the order of discovery.
            patterns: what ``pair_patterns`` gave for the image.
        """
        classes = np.asarray(classes, dtype=np.int64)
        # a pair of classes counts as one, whichever comes first
        low = np.minimum(classes[:-1], classes[1:])
        high = np.maximum(classes[:-1], classes[1:])
        np.add.at(self.pairs, (low, high), 1)
        np.add.at(self.follow, (low, high), patterns.astype(np.int64))

    def shares(self, min_pairs: int = 1) -> dict[tuple[int, int], np.ndarray]:
        """Share of pairs that follow each pattern, (6,) in [0, 1], by category pair.

        Args:
            min_pairs: leave out rarer ones; the paper shows those that occur 20 times.
        """
        frequent = np.argwhere(self.pairs >= max(min_pairs, 1))
        return {(a, b): self.follow[a, b] / self.pairs[a, b] for a, b in frequent.tolist()}
