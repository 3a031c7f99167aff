"""From the network's maps to ranked proposals: pyramid, windows, tight boxes, suppression.

Source: Dai et al. 2016, section 3.3, "Inference".

Shape letters: P windows or proposals, s values a side of a mask, H W the image that masks are
returned for, h w an image of the pyramid.

The paper slides a window over every cell of every scale, makes each one's mask, and suppresses by
the masks' tight boxes. Here windows are taken in decreasing order of objectness over all scales,
a block at a time, and the work ends when N proposals are kept: those are the same N, as no later
window can change which better ones stay. ``pre_nms_topk`` limits, for each scale, how many of its
best windows may be looked at at all, which bounds the time where most masks are near copies of each
other; windows beyond it are lost only where the first ones do not give N proposals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.layers.images import resize_image
from recseg_d2.layers.nms import BLOCK, GreedySuppression
from recseg_d2.models.instance_fcn.geometry import dense_windows
from recseg_d2.models.instance_fcn.network import InstanceFCN, ProposalMaps
from recseg_d2.models.instance_fcn.options import ProposalOptions
from recseg_d2.structures import MaskProposals


@dataclass
class PyramidLevel:
    """One scale of an image.

    Attributes:
        maps: what the network gave, for a batch of one.
        size: h and w, without the padding to whole cells.
    """

    maps: ProposalMaps
    size: tuple[int, int]


@dataclass
class RankedWindows:
    """Windows of all scales in decreasing order of objectness.

    Attributes:
        objectness: (P,) logits of the windows' objectness, decreasing.
        level: (P,) int64, index of the scale that each window is of.
        windows: (P, 3) int64, image 0, row and column of the centre cell.
    """

    objectness: torch.Tensor
    level: torch.Tensor
    windows: torch.Tensor

    def take(self, index: torch.Tensor | slice) -> RankedWindows:
        """Some of the windows."""
        return RankedWindows(self.objectness[index], self.level[index], self.windows[index])


def propose(
    network: InstanceFCN, image: torch.Tensor, size: tuple[int, int], options: ProposalOptions
) -> tuple[MaskProposals, PyramidLevel]:
    """Ranked proposals of an image, and the scale that the best window is of.

    Args:
        network: an InstanceFCN in evaluation mode.
        image: (3, h, w), the normalised image, of any size.
        size: H and W, the pixels that proposals are given in.
        options: the scales of the pyramid, the suppression, and the number of proposals.
    """
    levels = build_pyramid(network, image, options)
    ranked = rank_windows(levels, options.pre_nms_topk)
    return select(network, levels, ranked, size, options), levels[int(ranked.level[0])]


def build_pyramid(
    network: InstanceFCN, image: torch.Tensor, options: ProposalOptions
) -> list[PyramidLevel]:
    """The network's maps of an image at each scale.

    Args:
        network: an InstanceFCN in evaluation mode.
        image: (3, h, w), the normalised image.
        options: of them, ``scales``, their unit, and ``max_side`` are read.
    """
    unit = 1 if options.scale_unit == "shorter_side" else min(image.shape[1:])
    levels = []
    for scale in options.scales:
        scale = scale * unit
        resized = resize_image(image, pyramid_size(image.shape[1:], scale, options.max_side))
        maps = network(pad_to_cells(resized, network.stride)[None])
        levels.append(level_of(maps, (resized.shape[1], resized.shape[2])))
    return levels


def level_of(maps: ProposalMaps, size: tuple[int, int]) -> PyramidLevel:
    """A level with maps in the order that windows are copied in.

    A network that runs channels last leaves maps channels last, and every block of windows would
    have to bring the whole of them into order first.
    """
    maps = maps.float()
    in_order = ProposalMaps(maps.mask_maps.contiguous(), maps.objectness.contiguous())
    return PyramidLevel(in_order, size)


def pyramid_size(size: torch.Size, shorter: float, max_side: int) -> tuple[int, int]:
    """Height and width, of the same proportions, with a given shorter side unless too long."""
    height, width = size
    zoom = min(shorter / min(height, width), max_side / max(height, width))
    return max(1, round(height * zoom)), max(1, round(width * zoom))


def pad_to_cells(image: torch.Tensor, stride: int) -> torch.Tensor:
    """(3, h, w) with zeros (the mean) at the right and the bottom, to multiples of the stride."""
    height, width = image.shape[1:]
    return F.pad(image, (0, -width % stride, 0, -height % stride))


def rank_windows(levels: list[PyramidLevel], pre_top: int) -> RankedWindows:
    """The best windows of each scale, in decreasing order; of equal ones the first scale's first.

    Args:
        levels: the score maps at each scale of the image.
        pre_top: most windows that are taken of a scale; 0 takes all.
    """
    parts = []
    for index, level in enumerate(levels):
        scores = level.maps.objectness.flatten()
        rows, columns = level.maps.objectness.shape[2:]
        windows = dense_windows(1, rows, columns, scores.device)
        best = torch.argsort(scores, descending=True, stable=True)[: pre_top or None]
        parts.append((scores[best], torch.full_like(best, index), windows[best]))
    joined = RankedWindows(*(torch.cat(values) for values in zip(*parts, strict=True)))
    return joined.take(torch.argsort(joined.objectness, descending=True, stable=True))


def select(
    network: InstanceFCN,
    levels: list[PyramidLevel],
    ranked: RankedWindows,
    size: tuple[int, int],
    options: ProposalOptions,
) -> MaskProposals:
    """Make masks of windows, the best first, and suppress, until N are kept.

    Windows whose mask has no value above the threshold inside of the image give no proposal.
    """
    suppression = GreedySuppression(options.nms_thresh, options.topk)
    kept = []
    for start in range(0, len(ranked.objectness), BLOCK):
        block = ranked.take(slice(start, start + BLOCK))
        proposals = assemble_windows(network, levels, block, size, options.mask_thresh)
        filled = (proposals.boxes[:, 2:] > proposals.boxes[:, :2]).all(dim=1).nonzero()[:, 0]
        kept.append(proposals.take(filled[suppression.keep(proposals.boxes[filled])]))
        if suppression.full:
            break
    return MaskProposals.cat(kept)


def assemble_windows(
    network: InstanceFCN,
    levels: list[PyramidLevel],
    ranked: RankedWindows,
    size: tuple[int, int],
    mask_threshold: float,
) -> MaskProposals:
    """Masks and tight boxes of windows, in their order."""
    count, side = len(ranked.objectness), network.mask_side
    logits = ranked.objectness.new_empty(count, side, side)
    windows = ranked.objectness.new_empty(count, 4)
    by_level = torch.argsort(ranked.level, stable=True)
    sizes = torch.bincount(ranked.level, minlength=len(levels)).tolist()  # the host waits once
    for level, here in zip(levels, by_level.split(sizes), strict=True):
        logits[here] = network.mask_logits(level.maps, ranked.windows[here]).to(logits)
        zoom = windows.new_tensor([size[1] / level.size[1], size[0] / level.size[0]]).repeat(2)
        windows[here] = network.geometry.boxes(ranked.windows[here]).to(windows) * zoom
    boxes = tight_boxes(logits, windows, size, mask_threshold)
    return MaskProposals(logits, windows, ranked.objectness, boxes, size)


def tight_boxes(
    mask_logits: torch.Tensor, windows: torch.Tensor, size: tuple[int, int], threshold: float
) -> torch.Tensor:
    """Boxes around the binary masks, each value a rectangle of its window.

    Args:
        mask_logits: (P, s, s), the mask of each proposal in its window.
        windows: (P, 4) x1 y1 x2 y2 in pixels of the image.
        size: H and W of the image; what lies outside of it does not count.
        threshold: probability above which a value belongs to the mask.

    Returns:
        (P, 4) x1 y1 x2 y2 in pixels; a mask without any value has an empty box.
    """
    side = mask_logits.shape[1]
    step = (windows[:, 2:] - windows[:, :2]) / side
    steps = torch.arange(side, device=windows.device)
    start = windows[:, :2, None] + step[..., None] * steps  # (P, 2, s) of columns and rows
    limit = windows.new_tensor([size[1], size[0]])[:, None]
    inside = (start < limit) & (start + step[..., None] > 0)
    binary = mask_logits > math.log(threshold / (1 - threshold))
    boxes = masks_to_boxes(binary & inside[:, 1, :, None] & inside[:, 0, None, :]).to(windows)
    pixels = windows[:, :2].repeat(1, 2) + boxes * step.repeat(1, 2)
    return torch.minimum(pixels.clamp(min=0), limit[:, 0].repeat(2))
