"""Windows: squares around boxes with a grid of cells, written back as pixels.

Coordinates are pixels of the image; the pixel in column i covers [i, i + 1). G is the number of
cells along a side of the grid, K a number of windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from recseg_d2.models.dense_attention.trunk import FINE_STRIDE

_MIN_SIDE = 8  # pixels


@dataclass
class Windows:
    """K windows, each around the box of a place.

    Attributes:
        places: (K, 2), x and y of the places looked at in pixels.
        boxes: (K, 4), x1 y1 x2 y2 in pixels.
        squares: (K, 3), x and y of the upper left corner, and the side, as ``windows_around`` says.
        sides: the sides once more, for the host.
    """

    places: torch.Tensor
    boxes: torch.Tensor
    squares: torch.Tensor
    sides: list[float]

    def to(self, device: torch.device) -> Windows:
        """The same on a device."""
        places, boxes, squares = (x.to(device) for x in (self.places, self.boxes, self.squares))
        return Windows(places, boxes, squares, self.sides)


def boxes_at(distances: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Boxes (K, 4) that the box field (4, H/2, W/2) of an image has at K of its cells."""
    return boxes_around(place_of(rows, columns), distances[:, rows, columns].t())


def boxes_around(places: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """Boxes (..., 4) of places (..., 2) and their distances (..., 4) to the four edges."""
    return torch.cat([places - distances[..., :2], places + distances[..., 2:]], dim=-1)


def place_of(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Pixel coordinates (..., 2), x and y, of the centres of cells at stride 2."""
    return (torch.stack([columns, rows], dim=-1) + 0.5) * FINE_STRIDE


def windows_around(boxes: torch.Tensor, context: float, margin: float) -> torch.Tensor:
    """Square windows with whole-numbered corners and sides.

    Args:
        boxes: (K, 4), x1 y1 x2 y2 in pixels.
        context: side of a window as a multiple of the box's longer side.
        margin: pixels that are added to that.

    Returns:
        (K, 3): x and y of the upper left corner, and the side.
    """
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)
    side = (longer * context + margin).round().clamp(min=_MIN_SIDE)
    corner = ((boxes[:, :2] + boxes[:, 2:] - side[:, None]) / 2).round()
    return torch.cat([corner, side[:, None]], dim=1)


def cell_centres(windows: torch.Tensor, cells: int) -> tuple[torch.Tensor, torch.Tensor]:
    """X and y, (K, G) each, of the centres of the grid's columns and rows."""
    steps = (torch.arange(cells, device=windows.device) + 0.5) / cells
    along = steps * windows[:, 2:]
    return windows[:, :1] + along, windows[:, 1:2] + along


def place_maps(
    windows: torch.Tensor, places: torch.Tensor, boxes: torch.Tensor, cells: int
) -> torch.Tensor:
    """The place looked at as a Gaussian, and the box with soft edges, on the grid of each window.

    Args:
        windows: (K, 3), x, y of the corner and side of each window in pixels.
        places: (K, 2), x and y of each place in pixels.
        boxes: (K, 4), x1 y1 x2 y2 of each box in pixels.
        cells: G, cells along a side of a window.

    Returns:
        (K, 2, G, G), in [0, 1].
    """
    x, y = cell_centres(windows, cells)
    scale = windows[:, 2:] * 0.07 + 1
    spot_x = torch.exp(-0.5 * ((x - places[:, :1]) / scale) ** 2)
    spot_y = torch.exp(-0.5 * ((y - places[:, 1:]) / scale) ** 2)

    def inside(v: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid((v - low) / scale) * torch.sigmoid((high - v) / scale)

    box_x = inside(x, boxes[:, 0:1], boxes[:, 2:3])
    box_y = inside(y, boxes[:, 1:2], boxes[:, 3:4])
    spot = spot_x[:, None, :] * spot_y[:, :, None]
    box = box_x[:, None, :] * box_y[:, :, None]
    return torch.stack([spot, box], dim=1)


def write_window(
    values: torch.Tensor, window: list[int], size: tuple[int, int]
) -> tuple[slice, slice, torch.Tensor] | None:
    """Values of a window's cells as pixels of the image.

    Args:
        values: (G, G), what is written, a value for each cell.
        window: x, y and side, whole numbers.
        size: height and width of the image in pixels.

    Returns:
        Rows and columns of the image that the window covers, and the bilinear values there; None
        where it lies outside of the image.
    """
    left, top, side = window
    first_x, last_x = max(left, 0), min(left + side, size[1])
    first_y, last_y = max(top, 0), min(top + side, size[0])
    if first_x >= last_x or first_y >= last_y:
        return None
    pixels = F.interpolate(values[None, None], (side, side), mode="bilinear", align_corners=False)
    part = pixels[0, 0, first_y - top : last_y - top, first_x - left : last_x - left]
    return slice(first_y, last_y), slice(first_x, last_x), part


def paint_window(
    values: torch.Tensor, window: torch.Tensor, size: tuple[int, int] | torch.Size
) -> torch.Tensor:
    """``write_window`` into a whole image, whose result's size does not depend on the window.

    Args:
        values: (G, G), what is written, a value for each cell.
        window: (3,), x, y and side, whole numbers.
        size: height and width of the image in pixels.

    Returns:
        (H, W), the bilinear values, and 0 outside of the window.
    """
    left, top, side = window.unbind()
    columns, rows = (
        _shares(corner, side, length, len(values))
        for corner, length in ((left, size[1]), (top, size[0]))
    )
    return rows @ values @ columns.t()


def _shares(corner: torch.Tensor, side: torch.Tensor, length: int, cells: int) -> torch.Tensor:
    """(length, cells): what each cell of a window counts for each pixel of an axis."""
    pixels = torch.arange(length, device=side.device) - corner
    at = ((pixels + 0.5) * (cells / side) - 0.5).clamp(0, cells - 1)
    weights = (1 - (at[:, None] - torch.arange(cells, device=side.device)).abs()).clamp(min=0)
    return weights * ((pixels >= 0) & (pixels < side))[:, None]
