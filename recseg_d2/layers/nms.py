"""Greedy non-maximum suppression, without a compiled kernel.

Shape letters: P boxes in decreasing order of score, K boxes kept so far. A box has corners
x1 y1 x2 y2, the last pixel's far edge included.

Greedy suppression goes through the boxes from the best to the worst and keeps one unless a kept box
overlaps it by more than the threshold. That is a sequence of P decisions, yet only few of them
depend on each other: within a block all are taken at once and corrected until none changes.
"""

from __future__ import annotations

import torch

from recseg_d2.layers.boxes import box_iou

BLOCK = 512  # boxes whose overlaps are computed at once; a block's square is what takes memory


def suppress(threat: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    """Which candidates a greedy pass keeps.

    A candidate is kept if and only if no kept better one threatens it. Starting from all, each
    round applies that to every candidate; after r rounds all are right whose decision hangs on a
    chain of fewer than r others, so the rounds end, and end at the greedy pass's answer.

    Args:
        threat: (..., P, P) bool, whether the first is better than the second and overlaps it.
        candidates: (..., P) bool, which boxes take part at all.

    Returns:
        (..., P) bool.
    """
    weights = threat.float()
    kept = candidates
    while True:
        with torch.autocast(threat.device.type, enabled=False):
            threatened = (kept.float()[..., None, :] @ weights)[..., 0, :] > 0
        again = candidates & ~threatened
        if torch.equal(again, kept):
            return kept
        kept = again


def greedy_nms(
    boxes: torch.Tensor, scores: torch.Tensor, threshold: float, limit: int | None = None
) -> torch.Tensor:
    """Suppress boxes that a better one overlaps.

    Args:
        boxes: (P, 4) float corners, in any order.
        scores: (P,); of equal scores the first box goes first.
        threshold: a box is suppressed where its IoU with a kept one is above this, in [0, 1]; one
            that equals it stays.
        limit: stop at so many kept boxes; None goes through all.

    Returns:
        (K,) int64, indices of the kept boxes, the best first.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    suppression = GreedySuppression(threshold, limit)
    kept = [order[:0]]
    for block in order.split(BLOCK):
        kept.append(block[suppression.keep(boxes[block])])
        if suppression.full:
            break
    return torch.cat(kept)


class GreedySuppression:
    """Greedy suppression of boxes that come in blocks, the best first.

    Where the boxes themselves are costly (each is that of a mask that has to be assembled), a
    caller computes them block by block and stops when enough are kept.

    Args:
        threshold: a box is suppressed where its IoU with a kept one is above this, in [0, 1].
        limit: most boxes to keep; None keeps all that are not suppressed.
    """

    def __init__(self, threshold: float, limit: int | None = None) -> None:
        self.threshold = threshold
        self.limit = limit
        self.boxes: torch.Tensor | None = None  # (K, 4), the best first

    @property
    def full(self) -> bool:
        """Whether as many boxes are kept as were asked for."""
        return self.limit is not None and self._count() >= self.limit

    def keep(self, boxes: torch.Tensor) -> torch.Tensor:
        """Which of the next boxes stay, and remember those.

        Args:
            boxes: (P, 4), none of them better than any before; blocks of about ``BLOCK``.

        Returns:
            (K',) int64, increasing indices of the boxes that stay.
        """
        candidates = torch.arange(len(boxes), device=boxes.device)
        if self.boxes is not None:
            overlap = box_iou(boxes, self.boxes) > self.threshold
            candidates = candidates[~overlap.any(dim=1)]
        rest = boxes[candidates]
        overlap = box_iou(rest, rest) > self.threshold
        kept = candidates[suppress(overlap.triu(diagonal=1), overlap.new_ones(len(rest)))]
        if self.limit is not None:
            kept = kept[: max(0, self.limit - self._count())]
        self.boxes = boxes[kept] if self.boxes is None else torch.cat([self.boxes, boxes[kept]])
        return kept

    def _count(self) -> int:
        return 0 if self.boxes is None else len(self.boxes)
