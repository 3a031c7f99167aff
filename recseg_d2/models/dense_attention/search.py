"""The search: look where the heat map is highest, segment, remember, until nothing is left.

Looks that hardly influence each other are taken in one round: places whose boxes share little. They
see the canvas as the round before left it; what two of them claim goes to the more certain. Within
a round, as between rounds, the highest heat comes first. With one look a round the search is the
plain sequence; more at a time are faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from recseg_d2.models.dense_attention.canvas import canvas_channels
from recseg_d2.models.dense_attention.drawing import Drawing, DrawnObject
from recseg_d2.models.dense_attention.heat import heat_peaks
from recseg_d2.models.dense_attention.heat_update import HeatUpdate
from recseg_d2.models.dense_attention.model import DenseAttention
from recseg_d2.models.dense_attention.options import SearchOptions
from recseg_d2.models.dense_attention.trunk import FINE_STRIDE
from recseg_d2.models.dense_attention.windows import boxes_at, place_of


@dataclass
class Look:
    """One place that was looked at, for figures and analyses.

    Attributes:
        round: number of the round, from 0.
        place: x and y of the place in pixels.
        box: the box there, x1 y1 x2 y2 in pixels.
        heat: probability that an object's core is there, in [0, 1].
        score: sqrt(heat * score of the window), the score of the object.
        found: number of the object that was kept, from 0; -1 where none was.
        drawn: the mask on its window.
    """

    round: int
    place: tuple[float, float]
    box: tuple[float, float, float, float]
    heat: float
    score: float
    found: int
    drawn: DrawnObject


@dataclass
class SearchResult:
    """What a search found in an image.

    Attributes:
        drawing: the objects, in the order of discovery, and their label map.
        looks: all places that were looked at, in order.
        heat: heat maps (h, w) at the beginning of each round, where they were asked for.
    """

    drawing: Drawing
    looks: list[Look]
    heat: list[torch.Tensor]

    @property
    def objects(self) -> list[DrawnObject]:
        """The objects in the order of discovery."""
        return self.drawing.objects


@dataclass
class _Candidates:
    """Places of a round, K of them, and what was found there; everything on the CPU."""

    cells: list[tuple[int, int]]
    heat: list[float]
    scores: list[float]
    places: list[list[float]]
    boxes: list[list[float]]
    windows: list[list[int]]
    masks: torch.Tensor
    classes: torch.Tensor | None

    def drawn(self, k: int) -> DrawnObject:
        """What was found at place k."""
        classes = None if self.classes is None else self.classes[k]
        return DrawnObject(self.masks[k], self.windows[k], self.scores[k], classes)


class Search:
    """A search over one image.

    Args:
        model: a DenseAttention in evaluation mode.
        image: (channels, H, W), the normalised image, of any size.
        options: when to stop and what to keep.
        known: (H, W) integer label map of objects that are known already, or None; 0 is free.
        keep_heat: whether the result holds the heat maps.
    """

    def __init__(
        self,
        model: DenseAttention,
        image: torch.Tensor,
        options: SearchOptions,
        known: torch.Tensor | None = None,
        keep_heat: bool = False,
    ) -> None:
        self.model, self.options = model, options
        height, width = image.shape[1:]
        padding = (0, -width % model.stride, 0, -height % model.stride)
        padded = F.pad(image[None], padding, mode="replicate") if any(padding) else image[None]
        with torch.no_grad():
            self.encoding = model.encode(padded)
        self.drawing = Drawing((height, width), padded.shape[2:], known)
        self.open = self._open_cells(height, width)
        self.heat = HeatUpdate(model.heat, self.encoding.heat)
        self.result = SearchResult(self.drawing, [], [])
        self.keep_heat = keep_heat
        self.rounds = 0

    def _open_cells(self, height: int, width: int) -> torch.Tensor:
        """1 for cells that may be looked at: those whose centre lies in the image."""
        cells = self.encoding.heat.fine.new_zeros(self.encoding.heat.fine.shape[2:])
        cells[: (height + 1) // FINE_STRIDE, : (width + 1) // FINE_STRIDE] = 1
        return cells

    @torch.no_grad()
    def run(self, progress: Callable[[int], None] | None = None) -> SearchResult:
        """Search to the end; ``progress`` is told the number of objects after each round."""
        while self.step():
            if progress is not None:
                progress(len(self.drawing.objects))
        return self.result

    @torch.no_grad()
    def step(self) -> bool:
        """One round; returns whether there was anything to look at."""
        options = self.options
        if len(self.drawing.objects) >= options.max_objects:
            return False
        if len(self.result.looks) >= 2 * options.max_objects:
            return False  # a model that sees objects everywhere and keeps none
        canvas, heat = self._state()
        if self.keep_heat:
            self.result.heat.append(heat.cpu().clone())  # it is updated in place
        candidates = self._look(heat * self.open, canvas)
        if candidates is None:
            return False
        for k in range(len(candidates.cells)):
            self._settle(candidates, k)
            if len(self.drawing.objects) >= options.max_objects:
                break
        self.rounds += 1
        return True

    @torch.no_grad()
    def look_at(self, place: tuple[float, float]) -> DrawnObject:
        """The object at a place that somebody points at, whatever the heat and the score there.

        Nothing is drawn: the search goes on as if nobody had pointed.

        Args:
            place: x and y in pixels of the image; beyond it counts as its nearest cell.
        """
        canvas, heat = self._state()
        row, column = (
            min(max(int(at // FINE_STRIDE), 0), cells - 1)
            for at, cells in zip(place[::-1], heat.shape, strict=True)
        )
        rows, columns = (torch.tensor([n], device=heat.device) for n in (row, column))
        boxes = boxes_at(self.encoding.boxes[0], rows, columns)
        return self._segment(rows, columns, heat[rows, columns], boxes, canvas).drawn(0)

    def _state(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The channels of the canvas as it is, and the heat map that goes with it."""
        labels = self.drawing.labels[None].to(self.encoding.fine.device)
        canvas = canvas_channels(labels)
        return canvas, self.heat(canvas, self.drawing.pop_changes())

    def _look(self, heat: torch.Tensor, canvas: torch.Tensor) -> _Candidates | None:
        """Look at this round's places; None where there is none."""
        peaks = heat_peaks(heat, self.options.least_heat)
        rows, columns = torch.nonzero(peaks, as_tuple=True)
        if not len(rows):
            return None
        values = heat[rows, columns]
        order = values.argsort(descending=True, stable=True)
        rows, columns, values = rows[order], columns[order], values[order]
        boxes = boxes_at(self.encoding.boxes[0], rows, columns)
        options = self.options
        apart = boxes_apart(boxes.cpu().numpy(), options.looks_per_round, options.shared_box)
        chosen = torch.from_numpy(apart).to(rows.device)
        return self._segment(rows[chosen], columns[chosen], values[chosen], boxes[chosen], canvas)

    def _segment(
        self,
        rows: torch.Tensor,
        columns: torch.Tensor,
        values: torch.Tensor,
        boxes: torch.Tensor,
        canvas: torch.Tensor,
    ) -> _Candidates:
        """What is found at K cells, of heat ``values`` (K,), in the windows of their boxes."""
        places = place_of(rows, columns)
        windows = self.model.windows_at(places, boxes)
        outputs = self.model.segment(self.model.look(self.encoding, canvas, windows))
        scores = (outputs.scores.sigmoid() * values).sqrt()
        classes = None if outputs.classes is None else outputs.classes.softmax(1).cpu()
        # whole numbers in float32 are exact far beyond the size of a tile
        columns_of = [torch.stack([rows, columns], 1), values[:, None], scores[:, None]]
        columns_of += [places, boxes, windows.squares]
        numbers = torch.cat([c.float() for c in columns_of], dim=1).tolist()  # one transfer
        return _Candidates(
            cells=[(int(n[0]), int(n[1])) for n in numbers],
            heat=[n[2] for n in numbers],
            scores=[n[3] for n in numbers],
            places=[n[4:6] for n in numbers],
            boxes=[n[6:10] for n in numbers],
            windows=[[int(x) for x in n[10:]] for n in numbers],
            masks=outputs.masks.sigmoid().float().cpu(),
            classes=classes,
        )

    def _settle(self, found: _Candidates, k: int) -> None:
        """Keep the object of a look, or close its pixels."""
        (row, column), drawn = found.cells[k], found.drawn(k)
        number = -1
        if found.scores[k] >= self.options.score_thresh:
            number = self.drawing.add(drawn, self.options.min_area, self.options.duplicate_iou)
        self.open[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 0
        if number < 0:
            self._close(drawn)
        x1, y1, x2, y2 = found.boxes[k]
        place = (found.places[k][0], found.places[k][1])
        self.result.looks.append(
            Look(
                self.rounds, place, (x1, y1, x2, y2), found.heat[k], found.scores[k], number, drawn
            )
        )

    def _close(self, drawn: DrawnObject) -> None:
        """Never look again at cells that the mask of a rejected look touches."""
        written = drawn.pixels(self.drawing.padded_size)
        if written is None:
            return
        rows, columns, values = written
        y, x = torch.nonzero(values > 0.5, as_tuple=True)
        self.open[(y + rows.start) // FINE_STRIDE, (x + columns.start) // FINE_STRIDE] = 0


def boxes_apart(boxes: np.ndarray, most: int, shared: float) -> np.ndarray:
    """Indices of boxes, taken in order, that share little with each one taken before.

    Args:
        boxes: (K, 4), x1 y1 x2 y2, the most important first.
        most: number of boxes to take at most.
        shared: the largest share, in [0, 1], of the smaller of two boxes that both may cover.

    Returns:
        Increasing int64 indices.
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    areas = (high - low).prod(1)
    taken: list[int] = []
    for k in range(len(boxes)):
        common = np.minimum(high[k], high[taken]) - np.maximum(low[k], low[taken])
        allowed = shared * np.minimum(areas[k], areas[taken])
        if (common.clip(min=0).prod(1) <= allowed).all():
            taken.append(k)
            if len(taken) == most:
                break
    return np.array(taken, np.int64)
