"""Instances of one image found several times, by several models or in several views, as one set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from recseg_d2 import rle

MIN_IOU = 0.5  # from which on two masks may be of one object


class FoundObject(NamedTuple):
    """An object as one run found it: its mask, score in [0, 1] and class."""

    mask: rle.RLE
    score: float
    category: int


def merge_runs(runs: Sequence[Sequence[FoundObject]]) -> list[FoundObject]:
    """Match the objects of all runs, and keep those that at least half of the runs found.

    Run by run, objects are matched one to one with those that earlier runs found first, within
    their class, by the largest sum of IoUs (Hungarian algorithm); pairs of ``MIN_IOU`` or more are
    one object. Its score is the mean over all runs, with 0 for those that lack it. Its mask has the
    pixels whose masks have half or more of its scores' sum.

    Args:
        runs: the objects that each run found in the same image; one run or more.

    Returns:
        The objects, the best first, of equal scores those that were found first.
    """
    groups: list[list[FoundObject]] = []
    for run in runs:
        partners = _matches([group[0] for group in groups], run)
        for number, found in enumerate(run):
            if number in partners:
                groups[partners[number]].append(found)
            else:
                groups.append([found])
    kept = [_merged(group, len(runs)) for group in groups if 2 * len(group) >= len(runs)]
    return sorted(kept, key=lambda found: -found.score)


def _matches(known: Sequence[FoundObject], run: Sequence[FoundObject]) -> dict[int, int]:
    """The number among ``known`` of each object of a run that is one of them."""
    ious = rle.overlaps([k.mask for k in known], [found.mask for found in run])
    same = np.array([[k.category == found.category for found in run] for k in known])
    ious = np.where(same.reshape(ious.shape), ious, 0)
    rows, columns = linear_sum_assignment(ious, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {column: row for row, column in pairs if ious[row, column] >= MIN_IOU}


def _merged(group: Sequence[FoundObject], runs: int) -> FoundObject:
    scores = np.array([found.score for found in group])
    mask = group[0].mask
    if len(group) > 1:
        votes = sum(found.score * rle.decode(found.mask).astype(np.float64) for found in group)
        # sums of the same scores in another order may differ by their rounding
        mask = rle.encode(votes >= scores.sum() / 2 - 1e-9)
    return FoundObject(mask, float(scores.sum() / runs), group[0].category)
