"""Which windows of an image are positive, negative or neither, and what their masks should be.

Source: DeepMask's definition (Pinheiro et al. 2015, section 3.1), which Dai et al. 2016 use, with
lengths as shares of the window's side. Shape letters as in ``recseg_d2.layers.assembling``; N is
the number of objects of an image.

An object fits a window when the window's centre is near that of its tight box and the box's longer
side has the window's canonical length; such a window is positive. A window far from the centre of
every object of about that size is negative. All others are ignored. Crowd regions are no objects
here, so that windows on them are negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from recseg_d2.layers.assembling import gather_windows
from recseg_d2.models.instance_fcn.geometry import WindowGeometry
from recseg_d2.models.instance_fcn.options import LabelRules, SamplingOptions

NEGATIVE, IGNORED = -1, -2
NO_TARGET = -1.0  # of mask pixels that lie outside of the image


def label_windows(
    boxes: torch.Tensor, grid: tuple[int, int], geometry: WindowGeometry, rules: LabelRules
) -> torch.Tensor:
    """The label of the window at each cell of an image.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in pixels, tight around the objects, not empty.
        grid: rows and columns of cells of the image.
        geometry: where windows lie in the image.
        rules: how far off in place and size a window may be for either label.

    Returns:
        (rows, columns) int64: the index of the object that a positive window is of, ``NEGATIVE`` or
        ``IGNORED``. Of several objects that fit, it is the one whose larger deviation, of centre
        and size, each relative to its tolerance, is the least; the first of equals.
    """
    if len(boxes) == 0:
        return torch.full(grid, NEGATIVE, device=boxes.device)
    centres = geometry.centres(*grid, device=boxes.device)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    apart = (centres - middles[:, None, None]).abs().amax(-1) / geometry.side  # (N, rows, columns)
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(1)
    octaves = (longer / (rules.object_side * geometry.side)).log2().abs()[:, None, None]
    worst = torch.maximum(apart / rules.positive_shift, octaves / rules.positive_octaves)
    deviation, nearest = worst.min(0)
    of_this_size = (apart < rules.negative_shift) & (octaves < rules.negative_octaves)
    labels = torch.where(of_this_size.any(0), IGNORED, NEGATIVE)
    return torch.where(deviation <= 1, nearest, labels)


def ignore_negatives(labels: torch.Tensor, ignored: torch.Tensor, stride: int) -> torch.Tensor:
    """The labels of windows where there may be objects that nobody marked.

    Args:
        labels: (rows, columns) from ``label_windows``.
        ignored: (H, W) bool, the pixels of which nothing is known.
        stride: pixels along a side of a cell.

    Returns:
        the same with ``IGNORED`` for negative windows whose centre cell has such a pixel.
    """
    cells = F.max_pool2d(ignored[None].float(), stride, ceil_mode=True)[0] > 0
    return labels.masked_fill((labels == NEGATIVE) & cells, IGNORED)


@dataclass
class WindowSample:
    """Windows of one image to train with.

    Attributes:
        cells: (R, 2) int64, row and column of the centre cells; positives first.
        objects: (P,) int64, the object of each positive window.
    """

    cells: torch.Tensor
    objects: torch.Tensor


def sample_windows(labels: torch.Tensor, options: SamplingOptions) -> WindowSample:
    """Draw windows at random, without repetition.

    As in Faster R-CNN, which the paper follows, at most a fraction of them are positive,
    and negatives fill the rest up where there are fewer positives.

    Args:
        labels: (rows, columns) from ``label_windows``.
        options: the number of windows, if there are as many, and the fraction of positives.
    """
    number = options.num_windows
    positive = _draw((labels >= 0).nonzero(), round(number * options.positive_fraction))
    negative = _draw((labels == NEGATIVE).nonzero(), number - len(positive))
    objects = labels[positive[:, 0], positive[:, 1]]
    return WindowSample(torch.cat([positive, negative]), objects)


def _draw(cells: torch.Tensor, number: int) -> torch.Tensor:
    """At most ``number`` rows of (P, 2), in random order; drawn on the CPU on every device."""
    order = torch.randperm(len(cells))[:number]
    return cells[order.to(cells.device)]


def mask_targets(
    masks: torch.Tensor,
    sample: WindowSample,
    geometry: WindowGeometry,
    mask_side: int,
    soft: bool,
    ignored: torch.Tensor | None = None,
) -> torch.Tensor:
    """Target masks of the positive windows of one image.

    Args:
        masks: (N, H, W) bool, the masks of the image's objects.
        sample: the windows that were drawn, P of them positive.
        geometry: where windows lie in the image.
        mask_side: s; the window's side in pixels is a multiple of it.
        soft: a mask pixel's target is the share of it that the object covers, instead of whether
            that is at least one half.
        ignored: (H, W) bool, the image's pixels of which nothing is known; None is nowhere.

    Returns:
        (P, s, s) float in [0, 1]; ``NO_TARGET`` where the mask pixel lies outside of the image, or
        has an ignored pixel.
    """
    pixels = geometry.side // mask_side  # of the image, a side of a mask pixel
    used, index = sample.objects.unique(return_inverse=True)
    height, width = masks.shape[1:]
    rest = (0, -width % geometry.stride, 0, -height % geometry.stride)
    covered = F.avg_pool2d(F.pad(masks[used].float(), rest)[:, None], pixels)
    if not soft:
        covered = (covered >= 0.5).float()
    if ignored is not None:
        unknown = F.max_pool2d(F.pad(ignored[None].float().to(masks.device), rest), pixels) > 0
        covered = covered.masked_fill(unknown, NO_TARGET)
    windows = torch.cat([index[:, None], sample.cells[: len(index)]], dim=1)
    scale = windows.new_tensor([1, *[geometry.stride // pixels] * 2])
    channels = torch.zeros(mask_side, mask_side, dtype=torch.int64, device=masks.device)
    return gather_windows(covered, geometry.corners(windows) * scale, channels, NO_TARGET)
