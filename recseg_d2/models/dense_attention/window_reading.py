"""Windows read from maps on a grid.

Coordinates are pixels of the image; the pixel in column i covers [i, i + 1). G is the number of
cells along a side of the grid, K a number of windows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from recseg_d2.models.dense_attention.windows import cell_centres

_BEYOND = 3.0  # a place outside of maps, which reach from -1 to 1


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
    owners: Sequence[int] | None = None,
) -> torch.Tensor:
    """Values of maps at the cells of windows; zeros beyond the image.

    Where a cell is larger than two values of the map, the map is averaged first, by the power of
    two that brings a cell to between one and two values, so that nothing thin slips through.

    Args:
        maps: (1, C, H / stride, W / stride) of the image of all windows, (K, C, ...) with maps of
            its own for each window, or (B, C, ...) of several images, of which ``owners`` says
            which is whose. ``PooledMaps`` spare what several calls would compute again.
        windows: (K, 3), x, y of the corner and side of each window in pixels.
        cells: G, cells along a side of a window.
        stride: pixels of the image that a value of the map covers along each axis.
        sides: the windows' sides where the host knows them; to ask for them, it has to wait.
        owners: for each window the index of its maps, where there are those of several images.

    Returns:
        (K, C, G, G).
    """
    source = maps if isinstance(maps, PooledMaps) else PooledMaps(maps)
    values = source.octave(0)
    sides = windows[:, 2].tolist() if sides is None else sides
    octaves = [max(int(side // (cells * stride)), 1).bit_length() - 1 for side in sides]
    if len(set(octaves)) == 1:
        return _read_octave(source, windows, cells, stride, octaves[0], owners)
    result = values.new_zeros(len(windows), values.shape[1], cells, cells)
    for octave in set(octaves):
        rows = [k for k, own in enumerate(octaves) if own == octave]
        chosen = torch.tensor(rows).to(windows.device)
        theirs = None if owners is None else [owners[k] for k in rows]
        shared = len(values) == 1 or theirs is not None
        own = source if shared else PooledMaps(values[chosen])
        result[chosen] = _read_octave(own, windows[chosen], cells, stride, octave, theirs)
    return result


def _read_octave(
    maps: PooledMaps,
    windows: torch.Tensor,
    cells: int,
    stride: int,
    octave: int,
    owners: Sequence[int] | None,
) -> torch.Tensor:
    """``read_windows`` of windows whose cells are as large as 2^octave values of the map."""
    pooled = maps.octave(octave)
    covered = pooled.shape[2] * stride * 2**octave, pooled.shape[3] * stride * 2**octave
    return _sample(pooled, windows, cells, covered, owners)


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
    owners: Sequence[int] | None = None,
) -> torch.Tensor:
    """Bilinear values (K, C, G, G) at cells of maps that cover (height, width) pixels."""
    x, y = cell_centres(windows, cells)
    count = len(windows)
    columns = (x / covered[1] * 2 - 1)[:, None, :].expand(count, cells, cells)
    rows = (y / covered[0] * 2 - 1)[:, :, None].expand(count, cells, cells)
    grid = torch.stack([columns, rows], dim=-1)
    if len(maps) > 1 and owners is not None:
        return _sample_of_several(maps, grid, owners)
    if len(maps) > 1 or count == 1:
        return F.grid_sample(maps, grid, align_corners=False)
    grid = grid.reshape(1, count * cells, cells, 2)
    read = F.grid_sample(maps, grid, align_corners=False)[0]
    return read.reshape(-1, count, cells, cells).transpose(0, 1)


def _sample_of_several(
    maps: torch.Tensor, grid: torch.Tensor, owners: Sequence[int]
) -> torch.Tensor:
    """Values (K, C, G, G) at grids (K, G, G, 2), each of them of the maps of its owner.

    All at once: the grids of each of the B maps stand in a column as long as the longest.
    """
    cells = grid.shape[1]
    taken = [0] * len(maps)
    ranks = []
    for owner in owners:
        ranks.append(taken[owner])
        taken[owner] += 1
    longest = max(taken)
    slots = torch.tensor([o * longest + r for o, r in zip(owners, ranks, strict=True)])
    slots = slots.to(grid.device)
    columns = grid.new_full((len(maps) * longest, cells, cells, 2), _BEYOND)
    columns[slots] = grid
    columns = columns.view(len(maps), longest * cells, cells, 2)
    read = F.grid_sample(maps, columns, align_corners=False)
    return read.unflatten(2, (longest, cells)).transpose(1, 2).flatten(0, 1)[slots]
