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


def label_windows(masks, stride, cells, rules):
    """(N, H, W) bool -> label of each cell's window as a list of rows, by DeepMask's words.

    An object's index for a positive, -1 for a negative, -2 for what is neither.
    """
    rows, columns = (math.ceil(side / stride) for side in masks.shape[1:])
    labels = [[-1] * columns for _ in range(rows)]
    pixels = [mask.nonzero().tolist() for mask in masks]
    for row in range(rows):
        for column in range(columns):
            side = cells * stride
            top, left = (row - cells // 2) * stride, (column - cells // 2) * stride
            best = None
            for n, inside in enumerate(pixels):
                shift, octaves = _deviations(inside, top + side / 2, left + side / 2, side, rules)
                if shift < rules.negative_shift and octaves < rules.negative_octaves:
                    labels[row][column] = min(labels[row][column], -2)
                if shift <= rules.positive_shift and octaves <= rules.positive_octaves:
                    worst = max(shift / rules.positive_shift, octaves / rules.positive_octaves)
                    if best is None or worst < best[0]:
                        best = worst, n
            if best is not None:
                labels[row][column] = best[1]
    return labels


def _deviations(pixels, middle_y, middle_x, side, rules):
    """How far an object is off a window: its centre in windows, its size in octaves."""
    ys, xs = zip(*pixels, strict=True)
    height, width = max(ys) + 1 - min(ys), max(xs) + 1 - min(xs)
    y, x = min(ys) + height / 2, min(xs) + width / 2
    shift = max(abs(y - middle_y), abs(x - middle_x)) / side
    return shift, abs(math.log2(max(height, width) / (rules.object_side * side)))


def mask_target(mask, stride, cells, row, column, mask_side):
    """(H, W) bool -> (s, s) list of rows: shares that are covered, -1 outside of the image.

    The image goes on, without the object, to whole cells.
    """
    height, width = (math.ceil(side / stride) * stride for side in mask.shape)
    pixels = cells * stride // mask_side
    top, left = (row - cells // 2) * stride, (column - cells // 2) * stride
    target = [[-1.0] * mask_side for _ in range(mask_side)]
    for i in range(mask_side):
        for j in range(mask_side):
            y0, x0 = top + i * pixels, left + j * pixels
            if y0 < 0 or x0 < 0 or y0 >= height or x0 >= width:
                continue
            covered = 0
            for y in range(y0, y0 + pixels):
                for x in range(x0, x0 + pixels):
                    if y < mask.shape[0] and x < mask.shape[1]:
                        covered += int(mask[y, x])
            target[i][j] = covered / pixels**2
    return target
