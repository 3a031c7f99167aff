"""The search as a fixed number of looks, in operations on tensors alone, for export.

It is ``search.Search`` with one look a round: no step depends on a decision in Python, so that the
whole of it is one graph. Looks after the end of the search find nothing.

Shape letters: H W the image in pixels, P Q those of the padded image, T looks, G cells a side of a
window, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.models.dense_attention.canvas import canvas_channels
from recseg_d2.models.dense_attention.model import DenseAttention, Encoding
from recseg_d2.models.dense_attention.options import SearchOptions
from recseg_d2.models.dense_attention.trunk import COARSE_STRIDE, FINE_STRIDE
from recseg_d2.models.dense_attention.window_reading import Pyramid, read_pyramid
from recseg_d2.models.dense_attention.windows import boxes_at, paint_window, place_maps, place_of


@dataclass
class _State:
    """Between looks.

    Attributes:
        labels: (P, Q) int64; 0 is free, t + 1 what the look t found.
        certainty: (P, Q), the probability that a pixel was won with.
        count: (), number of objects.
        open: (P / 2, Q / 2) of 0 and 1, where may be looked.
        scores: a score () of each look, 0 where it found nothing.
        classes: (C,) probabilities of each look; none where there is one class.
    """

    labels: torch.Tensor
    certainty: torch.Tensor
    count: torch.Tensor
    open: torch.Tensor
    scores: list[torch.Tensor]
    classes: list[torch.Tensor]


class FixedSearch(nn.Module):
    """A search of T looks over one image.

    Args:
        model: a DenseAttention in evaluation mode.
        options: what to keep; ``looks_per_round`` is not looked at.
        size: H and W of images in pixels.
        looks: T; more than twice ``options.max_objects`` are not taken, as in the search.
    """

    def __init__(
        self, model: DenseAttention, options: SearchOptions, size: tuple[int, int], looks: int
    ) -> None:
        super().__init__()
        self.model, self.options, self.size = model, options, size
        self.looks = min(looks, 2 * options.max_objects)
        height, width = (side + -side % model.stride for side in size)
        rows, columns = torch.arange(height // FINE_STRIDE), torch.arange(width // FINE_STRIDE)
        self.register_buffer("rows", rows[:, None], persistent=False)
        self.register_buffer("columns", columns[None], persistent=False)

    rows: torch.Tensor
    columns: torch.Tensor

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Search.

        Args:
            image: (channels, H, W), the normalised image.

        Returns:
            The label map (H, W) int64, whose objects are 1, 2, ... in the order of discovery; their
            scores (T,) in [0, 1], zeros after the last object; and of several classes their
            probabilities (T, C), likewise.
        """
        padding = (0, -self.size[1] % self.model.stride, 0, -self.size[0] % self.model.stride)
        encoding = self.model.encode(F.pad(image[None], padding, mode="replicate"))
        maps = [
            self._pyramid(encoding.fine, FINE_STRIDE),
            self._pyramid(encoding.coarse, COARSE_STRIDE),
            self._pyramid(encoding.images),
        ]
        empty = image.new_zeros(encoding.images.shape[2:])
        inside = (self.rows < (self.size[0] + 1) // FINE_STRIDE) & (
            self.columns < (self.size[1] + 1) // FINE_STRIDE
        )
        state = _State(empty.long(), empty, empty.sum().long(), inside.to(image), [], [])
        for look in range(self.looks):
            self._look(state, encoding, maps, look)
        return self._found(state)

    def _pyramid(self, maps: torch.Tensor, stride: int = 1) -> Pyramid:
        return Pyramid(maps, stride, self.model.options.cells, self.model.largest_window)

    def _look(self, state: _State, encoding: Encoding, maps: list[Pyramid], look: int) -> None:
        """Look where the heat is highest; keep what is found, or close its pixels."""
        canvas = canvas_channels(state.labels[None])
        heat = (self.model.heat(encoding.heat, canvas)[0].sigmoid() * state.open).flatten()
        best = heat.argmax()[None]
        row, column = best // self.columns.shape[1], best % self.columns.shape[1]
        boxes = boxes_at(encoding.boxes[0], row, column)
        windows, places = self.model.windows(boxes), place_of(row, column)
        seen = [read_pyramid(pyramid, windows) for pyramid in (*maps, self._pyramid(canvas))]
        seen.append(place_maps(windows, places, boxes, self.model.options.cells))
        outputs = self.model.segment(torch.cat(seen, dim=1))
        score = (outputs.scores[0].sigmoid() * heat[best][0]).sqrt()
        values = paint_window(outputs.masks[0].sigmoid(), windows[0], state.labels.shape)
        inside = values > 0.5
        won = inside & (values > state.certainty)
        options = self.options
        kept = (
            (state.count < options.max_objects)
            & (heat[best][0] >= options.least_heat)
            & (score >= options.score_thresh)
            & (won[: self.size[0], : self.size[1]].sum() >= options.min_area)
            & ~self._is_duplicate(state.labels, inside, look)
        )
        state.count = state.count + kept
        won = won & kept
        state.labels = torch.where(won, look + 1, state.labels)
        state.certainty = torch.where(won, values, state.certainty)
        near = ((self.rows - row).abs() <= 1) & ((self.columns - column).abs() <= 1)
        touched = F.max_pool2d(inside[None, None].float(), FINE_STRIDE)[0, 0] > 0
        state.open = torch.where(near | (touched & ~kept), 0.0, state.open)
        state.scores.append(torch.where(kept, score, 0.0))
        if outputs.classes is not None:
            state.classes.append(torch.where(kept, outputs.classes[0].softmax(0), 0.0))

    def _is_duplicate(self, labels: torch.Tensor, inside: torch.Tensor, look: int) -> torch.Tensor:
        """Whether the pixels ``inside`` are those of what an earlier look has found."""
        shared = _count(labels, inside.float(), look)
        areas = _count(labels, torch.ones_like(inside, dtype=torch.float32), look)
        most = shared.argmax()[None]
        shared, area = shared[most][0], areas[most][0]
        union = inside.sum() + area - shared
        return (shared > 0) & (shared >= self.options.duplicate_iou * union)

    def _found(self, state: _State) -> tuple[torch.Tensor, ...]:
        """What still owns enough pixels, renumbered from 1."""
        labels = state.labels[: self.size[0], : self.size[1]]
        areas = _count(labels, torch.ones_like(labels, dtype=torch.float32), self.looks)
        kept = (areas >= max(self.options.min_area, 1)).long()
        numbers = torch.cat([kept.new_zeros(1), kept.cumsum(0) * kept])  # by label
        found = [torch.stack(state.scores)[:, None]]
        if state.classes:
            found.append(torch.stack(state.classes))
        # row k is that of object k + 1; what was not kept adds nothing
        rows = F.one_hot(numbers[1:], self.looks + 1)[:, 1:].t().float()
        scores, *classes = (rows @ values for values in found)
        return numbers[labels], scores[:, 0], *classes


def _count(labels: torch.Tensor, weights: torch.Tensor, most: int) -> torch.Tensor:
    """(max(most, 1),) sums of the weights of the pixels of labels 1 to ``most``."""
    totals = weights.new_zeros(max(most, 1) + 1)
    return totals.scatter_add(0, labels.flatten(), weights.flatten())[1:]
