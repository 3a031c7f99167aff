"""The instance assembling module: mask logits of windows, copied from score maps.

Source: Dai et al. 2016, section 3.1.

Shape letters of InstanceFCN:
    B  images of a batch        h w  cells of the score maps       C  channels
    k  parts a side             m    cells a side of a window      R  windows

A window is (image, row, column) of its centre cell, int64; its first cell is m // 2 above and left
of that. Cell (i, j) of the window copies the map of part (floor(i k / m), floor(j k / m)), channel
part_row * k + part_column, at its own place: nothing is interpolated or averaged. Where k does not
divide m, parts differ by one cell: 21 cells in 5 parts are 5, 4, 4, 4, 4. Windows may reach over
the maps' border; cells outside have a constant value and no gradient.
"""

from __future__ import annotations

import math

import torch

OUTSIDE_LOGIT = -20.0  # of cells beyond the border: certainly no object
CELLS_AT_ONCE = 1 << 22  # of windows, for which temporary indices are held


def part_index(parts: int, size: int, device: torch.device | None = None) -> torch.Tensor:
    """Part that each of ``size`` cells belongs to, (size,) int64 in [0, parts)."""
    return torch.arange(size, device=device) * parts // size


def assemble(
    maps: torch.Tensor, windows: torch.Tensor, size: int, outside: float = OUTSIDE_LOGIT
) -> torch.Tensor:
    """Assemble windows from instance-sensitive score maps.

    Args:
        maps: (B, k * k, h, w) logits, a score map for each of the k x k parts of an object.
        windows: (R, 3) int64, image, row and column of each window's centre cell.
        size: m, cells along a side of a window.
        outside: logit that cells beyond the maps count as.

    Returns:
        (R, m, m) logits, differentiable in ``maps``.

    Raises:
        ValueError: the number of channels is no square.
    """
    parts = math.isqrt(maps.shape[1])
    if parts * parts != maps.shape[1]:
        raise ValueError(f"maps have {maps.shape[1]} channels, expected a square k * k.")
    part = part_index(parts, size, maps.device)
    channels = part[:, None] * parts + part[None]  # (m, m)
    corners = windows - windows.new_tensor([0, size // 2, size // 2])
    return gather_windows(maps, corners, channels, outside)


def gather_windows(
    maps: torch.Tensor, corners: torch.Tensor, channels: torch.Tensor, outside: float = 0.0
) -> torch.Tensor:
    """Copy windows out of maps, each cell from the channel that belongs to it.

    Args:
        maps: (B, C, h, w).
        corners: (R, 3) int64, image, row and column of each window's first cell, which may lie
            outside of the maps.
        channels: (..., height, width) int64 in [0, C): where each of a window's cells comes from.
        outside: logit that cells beyond the maps count as.

    Returns:
        (R, ..., height, width). Beyond the result, memory is held for ``CELLS_AT_ONCE`` cells.
    """
    step = max(1, CELLS_AT_ONCE // channels.numel())
    chunks = [_gather_chunk(maps, c, channels, outside) for c in corners.split(step)]
    return torch.cat(chunks) if len(chunks) != 1 else chunks[0]


def _gather_chunk(
    maps: torch.Tensor, corners: torch.Tensor, channels: torch.Tensor, outside: float
) -> torch.Tensor:
    count, (height, width) = maps.shape[1], maps.shape[-2:]
    images, first_rows, first_columns = corners.unbind(1)
    rows = first_rows[:, None] + torch.arange(channels.shape[-2], device=maps.device)
    columns = first_columns[:, None] + torch.arange(channels.shape[-1], device=maps.device)
    inside = _inside(rows, height)[:, :, None] & _inside(columns, width)[:, None]
    # Cells outside read the nearest one inside, and are overwritten.
    row_starts = images[:, None] * (count * height * width) + rows.clamp(0, height - 1) * width
    places = row_starts[:, :, None] + columns.clamp(0, width - 1)[:, None]  # (R, height, width)
    leading = (len(corners),) + (1,) * (channels.dim() - 2)
    places = places.view(*leading, *places.shape[1:]) + channels * (height * width)
    copied = maps.reshape(-1)[places]
    return copied.masked_fill(~inside.view(*leading, *inside.shape[1:]), outside)


def _inside(places: torch.Tensor, size: int) -> torch.Tensor:
    return (places >= 0) & (places < size)
