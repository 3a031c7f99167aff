"""Windows: squares around boxes, read from maps on a grid and written back as pixels.

Coordinates are pixels of the image; the pixel in column i covers [i, i + 1). G is the number of
cells along a side of the grid, K a number of windows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

_MIN_SIDE = 8  # pixels


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


class PooledMaps:
    """Maps and their means over 2 x 2, 4 x 4, ... values, computed once, when they are asked for.

    Args:
        maps: (B, C, h, w).
    """

    def __init__(self, maps: torch.Tensor) -> None:
        self.octaves = {0: maps}

    def octave(self, number: int) -> torch.Tensor:
        """The means over 2^number x 2^number values."""
        if number not in self.octaves:
            self.octaves[number] = _pool(self.octaves[0], 2**number)
        return self.octaves[number]


def read_windows(
    maps: torch.Tensor | PooledMaps,
    windows: torch.Tensor,
    cells: int,
    stride: int = 1,
    sides: Sequence[float] | None = None,
) -> torch.Tensor:
    """Values of one image's maps at the cells of windows; zeros beyond the image.

    Where a cell is larger than two values of the map, the map is averaged first, by the power of
    two that brings a cell to between one and two values, so that nothing thin slips through.

    Args:
        maps: (1, C, H / stride, W / stride), or (K, C, ...) with a map of its own for each window.
            ``PooledMaps`` of them spare what several calls would compute again.
        windows: (K, 3), x, y of the corner and side of each window in pixels.
        cells: G, cells along a side of a window.
        stride: pixels of the image that a value of the map covers along each axis.
        sides: the windows' sides where the host knows them; to ask for them, it has to wait.

    Returns:
        (K, C, G, G).
    """
    source = maps if isinstance(maps, PooledMaps) else PooledMaps(maps)
    values = source.octave(0)
    sides = windows[:, 2].tolist() if sides is None else sides
    octaves = [max(int(side // (cells * stride)), 1).bit_length() - 1 for side in sides]
    if len(set(octaves)) == 1:
        return _read_octave(source, windows, cells, stride, octaves[0])
    result = values.new_zeros(len(windows), values.shape[1], cells, cells)
    for octave in set(octaves):
        chosen = torch.tensor([k for k, own in enumerate(octaves) if own == octave])
        chosen = chosen.to(windows.device)
        own = source if len(values) == 1 else PooledMaps(values[chosen])
        result[chosen] = _read_octave(own, windows[chosen], cells, stride, octave)
    return result


def _read_octave(
    maps: PooledMaps, windows: torch.Tensor, cells: int, stride: int, octave: int
) -> torch.Tensor:
    """``read_windows`` of windows whose cells are as large as 2^octave values of the map."""
    pooled = maps.octave(octave)
    covered = pooled.shape[2] * stride * 2**octave, pooled.shape[3] * stride * 2**octave
    return _sample(pooled, windows, cells, covered)


class Pyramid:
    """Maps of one image and their means over 2 x 2, 4 x 4, ... values, for ``read_pyramid``.

    Args:
        maps: (1, C, H / stride, W / stride).
        stride: pixels of the image that a value of the maps covers along each axis.
        cells: G, cells along a side of a window.
        largest: side of the largest window in pixels.
    """

    def __init__(self, maps: torch.Tensor, stride: int, cells: int, largest: float) -> None:
        height, width = maps.shape[2:]
        octaves = range(int(max(largest / (cells * stride), 1)).bit_length())
        pooled = [_pool(maps, 2**octave) for octave in octaves]
        self.cells, self.size = cells, (height * stride, width * stride)
        # beyond the end of a level are zeros, as beyond the image
        self.levels = torch.cat(
            [F.pad(p, (0, width - p.shape[3], 0, height - p.shape[2])) for p in pooled]
        )
        self.factors = maps.new_tensor([2.0**octave for octave in octaves])
        self.sides = self.factors[1:] * (cells * stride)  # of windows, from which on a level is for


def read_pyramid(pyramid: Pyramid, window: torch.Tensor) -> torch.Tensor:
    """``read_windows`` of one window (1, 3), whose size no decision in Python depends on."""
    level = (window[:, 2] >= pyramid.sides).sum()[None]
    factor = pyramid.factors.index_select(0, level)
    covered = factor * pyramid.size[0], factor * pyramid.size[1]
    return _sample(pyramid.levels.index_select(0, level), window, pyramid.cells, covered)


def _pool(maps: torch.Tensor, factor: int) -> torch.Tensor:
    """Means of factor x factor values; what is beyond the map counts as zero."""
    if factor == 1:
        return maps
    right, below = -maps.shape[3] % factor, -maps.shape[2] % factor
    return F.avg_pool2d(F.pad(maps, (0, right, 0, below)), factor)


def _sample(
    maps: torch.Tensor,
    windows: torch.Tensor,
    cells: int,
    covered: tuple[int | torch.Tensor, int | torch.Tensor],
) -> torch.Tensor:
    """Bilinear values (K, C, G, G) at cells of maps that cover (height, width) pixels."""
    x, y = cell_centres(windows, cells)
    count = len(windows)
    columns = (x / covered[1] * 2 - 1)[:, None, :].expand(count, cells, cells)
    rows = (y / covered[0] * 2 - 1)[:, :, None].expand(count, cells, cells)
    grid = torch.stack([columns, rows], dim=-1)
    if len(maps) > 1 or count == 1:
        return F.grid_sample(maps, grid, align_corners=False)
    grid = grid.reshape(1, count * cells, cells, 2)
    read = F.grid_sample(maps, grid, align_corners=False)[0]
    return read.reshape(-1, count, cells, cells).transpose(0, 1)


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
