"""The most and the least active object of images: where, how large, and how early found.

RSIS, figure 6, shows the places of these objects over all images of a data set; a map has the share
of images whose object is there, with every image stretched over the same square of cells.

Shape letters: K objects of an image, G the cells along each side of a map, H W the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from recseg_d2.analysis.evidence import PredictedObjects
from recseg_d2.analysis.result import Row, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS = 64  # along each side of a map
PANEL_INCHES = 2.6  # width and height of a map in the figure
# How active, and which object of an image it is by its activation; of equals the first found.
EXTREMES = {"most": np.argmax, "least": np.argmin}


@dataclass(frozen=True, eq=False)
class Places:
    """The maps of a run.

    Attributes:
        title: what the activations are of.
        maps: (G, G) share of images in [0, 1], by the weights and then by ``EXTREMES``.
        aspect: height of the images by their width, on average.
    """

    title: str
    maps: dict[str, dict[str, np.ndarray]]
    aspect: float


class ActiveObjects:
    """Sums over images of the most and the least active object, by what they were sorted by."""

    def __init__(self) -> None:
        # by name and extreme: images, y, x, area, place in the order; and the map
        self._sums: dict[tuple[str, str], np.ndarray] = {}
        self._maps: dict[tuple[str, str], np.ndarray] = {}
        self._sizes: dict[str, np.ndarray] = {}

    def update(
        self, values: Mapping[str, np.ndarray], found: PredictedObjects, places: np.ndarray
    ) -> None:
        """Add an image.

        Args:
            values: (K,) activations by name, in the order of discovery; K is 2 or more.
            found: the K objects.
            places: (K, G, G), what ``covered`` gives for their masks.
        """
        size = np.array(found.size, dtype=float)
        for name, activations in values.items():
            self._sizes[name] = self._sizes.get(name, 0.0) + size
            for extreme, choose in EXTREMES.items():
                k, key = int(choose(activations)), (name, extreme)
                y, x = found.centers[k] / size
                order = k / (len(activations) - 1)
                row = np.array([1.0, y, x, found.areas[k] / size.prod(), order])
                self._sums[key] = self._sums.get(key, 0.0) + row
                self._maps[key] = self._maps.get(key, 0.0) + places[k]

    def rows(self) -> Table:
        """A row for each name and each of ``EXTREMES``, means over the images.

        Returns:
            rows with "sorting" (the name), "active" ("most" or "least"), "images", "y" and "x" of
            the centre of mass as shares of the image's height and width, "area" as a share of the
            image, and "order", the place in the order of discovery from 0 (first) to 1 (last).
        """
        return [self._row(*key, *sums) for key, sums in self._sums.items()]

    def maps(self, name: str) -> dict[str, np.ndarray]:
        """(G, G) share of images whose object covers a cell, by how active the object is."""
        return {e: self._maps[name, e] / self._sums[name, e][0] for e in EXTREMES}

    def aspect(self, name: str) -> float:
        """Height by width of the images, on average."""
        height, width = self._sizes[name]
        return float(height / width)

    @staticmethod
    def _row(name: str, extreme: str, images: float, *totals: float) -> Row:
        means = (float(total / images) for total in totals)
        named = dict(zip(("y", "x", "area", "order"), means, strict=True))
        return {"sorting": name, "active": extreme, "images": int(images), **named}


def covered(masks: Sequence[torch.Tensor]) -> np.ndarray:
    """The share of each cell that a mask covers.

    Args:
        masks: K masks, (H, W) of 0 and 1.

    Returns:
        (K, G, G) float32 in [0, 1].
    """
    cells = [F.adaptive_avg_pool2d(mask.float()[None], (CELLS, CELLS))[0] for mask in masks]
    return torch.stack(cells).numpy()


def draw_places(runs: Mapping[str, Places], figure: Figure) -> None:
    """For each run a table of maps: before and after training, most and least active objects.

    Args:
        runs: by the run's label; one or more.
        figure: an empty figure, which is drawn into.
    """
    figure.set_size_inches(2 * PANEL_INCHES * len(runs) + 1, 2 * PANEL_INCHES + 0.5)
    blocks = figure.subfigures(1, len(runs), squeeze=False)[0]
    for block, (run, places) in zip(blocks, runs.items(), strict=True):
        block.suptitle(f"{run}: most and least active objects, {places.title}")
        top = max(map(np.max, (m for of_w in places.maps.values() for m in of_w.values())))
        grid = block.subplots(len(places.maps), len(EXTREMES), squeeze=False)
        for row, (weights, maps) in zip(grid, places.maps.items(), strict=True):
            for axes, (extreme, shares) in zip(row, maps.items(), strict=True):
                # an image's cells are as high and wide as its sides, so they are no squares
                shown = axes.imshow(shares, vmin=0, vmax=top, aspect=places.aspect)
                axes.set(xticks=[], yticks=[], title=f"{weights}, {extreme} active")
        block.colorbar(shown, ax=grid.ravel().tolist(), label="share of images")
