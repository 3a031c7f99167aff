"""InstanceFCN's assembling and window labels, written as the text says it: slow, in loops."""

from __future__ import annotations

import math

import torch


def assemble(maps, windows, size, outside):
    """(B, k * k, h, w), (R, 3) -> (R, size, size), one value at a time."""
    parts = round(maps.shape[1] ** 0.5)
    height, width = maps.shape[2:]
    result = torch.full((len(windows), size, size), outside, dtype=maps.dtype)
    for r, (image, row, column) in enumerate(windows.tolist()):
        for i in range(size):
            for j in range(size):
                y, x = row - size // 2 + i, column - size // 2 + j
                part = math.floor(i * parts / size) * parts + math.floor(j * parts / size)
                if 0 <= y < height and 0 <= x < width:
                    result[r, i, j] = maps[image, part, y, x]
    return result
