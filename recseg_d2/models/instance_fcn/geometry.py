"""Where the cells and windows of InstanceFCN lie in an image.

Shape letters as in ``recseg_d2.layers.assembling``. Pixel coordinates are continuous: the pixel in
column i covers [i, i + 1). Cell (row, column) covers the square from (column, row) * stride to
(column + 1, row + 1) * stride; its centre is half a stride further.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class WindowGeometry:
    """The square windows of a network.

    Attributes:
        stride: pixels along a side of a cell.
        cells: m, cells along a side of a window.
    """

    stride: int
    cells: int

    @property
    def side(self) -> int:
        """Pixels a side of a window."""
        return self.stride * self.cells

    def corners(self, windows: torch.Tensor) -> torch.Tensor:
        """Centre cells (R, 3) to the windows' first cells, (R, 3) int64; may be negative."""
        return windows - windows.new_tensor([0, self.cells // 2, self.cells // 2])

    def boxes(self, windows: torch.Tensor) -> torch.Tensor:
        """(R, 3) windows to boxes x1 y1 x2 y2 in pixels, (R, 4) float32, beyond the image too."""
        start = (self.corners(windows)[:, 1:] * self.stride).flip(1).float()
        return torch.cat([start, start + self.side], dim=1)

    def centres(self, rows: int, columns: int, device: torch.device) -> torch.Tensor:
        """Centre x y in pixels of the windows of all cells, (rows, columns, 2) float32.

        That is the centre cell's centre where m is odd, and its upper left corner where m is even.
        """
        shift = self.cells / 2 - self.cells // 2
        y = (torch.arange(rows, device=device) + shift) * self.stride
        x = (torch.arange(columns, device=device) + shift) * self.stride
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=2)


def dense_windows(images: int, rows: int, columns: int, device: torch.device) -> torch.Tensor:
    """The window at each cell, (images * rows * columns, 3) int64, in the objectness' order."""
    ranges = [torch.arange(size, device=device) for size in (images, rows, columns)]
    return torch.cartesian_prod(*ranges)
