"""InstanceFCN's inference after assembling, one window and one pixel at a time, in float64.

Every window's mask is truncated and boxed; then greedy suppression; then a mask's pixels one by
one. Assembling itself is in ``instance_fcn_literal``. Nothing of the package is used.
"""

from __future__ import annotations

import math

import numpy as np


def tight_box(
    mask: np.ndarray, window: np.ndarray, size: tuple[int, int], threshold: float
) -> list[float] | None:
    """x1 y1 x2 y2 in pixels of what is above the threshold inside of the image; None if nothing."""
    level = math.log(threshold / (1 - threshold))
    step_x = (window[2] - window[0]) / mask.shape[1]
    step_y = (window[3] - window[1]) / mask.shape[0]
    box = [math.inf, math.inf, -math.inf, -math.inf]
    for i in range(mask.shape[0]):
        for j in range(mask.shape[1]):
            x, y = window[0] + j * step_x, window[1] + i * step_y
            if mask[i, j] <= level or x + step_x <= 0 or y + step_y <= 0:
                continue
            if x >= size[1] or y >= size[0]:
                continue
            box = [
                min(box[0], max(0.0, x)),
                min(box[1], max(0.0, y)),
                max(box[2], min(size[1], x + step_x)),
                max(box[3], min(size[0], y + step_y)),
            ]
    return None if box[0] == math.inf else box


def iou(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def greedy_nms(boxes: list[list[float]], scores: list[float], threshold: float) -> list[int]:
    """Indices of the boxes that stay, the best first; of equal scores the first goes first."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def paste_mask(
    mask: np.ndarray, window: np.ndarray, size: tuple[int, int], threshold: float
) -> np.ndarray:
    """(s, s) logits of a window -> (H, W) bool, each pixel's centre interpolated bilinearly."""
    level = math.log(threshold / (1 - threshold))
    side = mask.shape[0]
    pasted = np.zeros(size, dtype=bool)
    for y in range(size[0]):
        for x in range(size[1]):
            if not (window[0] <= x + 0.5 < window[2] and window[1] <= y + 0.5 < window[3]):
                continue
            v = _position(y + 0.5, window[1], window[3], side, size[0])
            u = _position(x + 0.5, window[0], window[2], side, size[1])
            i, j = min(int(v), side - 2), min(int(u), side - 2)
            a, b = v - i, u - j
            top = mask[i, j] * (1 - b) + (mask[i, j + 1] * b if b else 0)
            bottom = mask[i + 1, j] * (1 - b) + (mask[i + 1, j + 1] * b if b else 0)
            pasted[y, x] = top * (1 - a) + bottom * a > level
    return pasted


def _position(centre: float, low: float, high: float, side: int, length: int) -> float:
    """Between which values a pixel lies, of those whose share of the window meets the image."""
    step = (high - low) / side
    first = next(i for i in range(side) if low + (i + 1) * step > 1e-3 * step)
    last = next(i for i in reversed(range(side)) if low + i * step < length - 1e-3 * step)
    return min(max((centre - low) / step - 0.5, first), last)
