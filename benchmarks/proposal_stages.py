"""The stages of InstanceFCN's inference, each as a piece of work that can be timed.

Stages: backbone, heads, assembling, boxes (tight ones of the binary masks), NMS, pasting. Weights
are random and the image is noise; score maps are brought to unit variance, so that masks are
neither full nor empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from recseg_d2.layers.images import resize_image
from recseg_d2.layers.nms import BLOCK, greedy_nms
from recseg_d2.meta_arch.instance_fcn_proposal import InstanceFCNProposal
from recseg_d2.models.instance_fcn.network import ProposalMaps
from recseg_d2.models.instance_fcn.options import ProposalOptions
from recseg_d2.models.instance_fcn.pasting import paste_masks
from recseg_d2.models.instance_fcn.proposals import (
    PyramidLevel,
    RankedWindows,
    assemble_windows,
    level_of,
    pad_to_cells,
    pyramid_size,
    rank_windows,
    tight_boxes,
)
from recseg_d2.structures import MaskProposals

Work = Callable[[], Any]


@dataclass
class StageInputs:
    """An image on its way through the stages.

    Attributes:
        model: an InstanceFCNProposal in evaluation mode.
        options: options of inference, with the scales that are measured.
        size: H and W, the height and width in pixels that proposals are given for.
        images: (1, 3, h, w) padded, of each scale.
        features: the backbone's feature map at each scale, (1, D, h, w).
        levels: the score maps at each scale of the image.
        ranked: the windows whose masks are assembled, best first.
        proposals: the proposals of these windows, before suppression.
        kept: the proposals that suppression keeps, which are pasted into the image.
    """

    model: InstanceFCNProposal
    options: ProposalOptions
    size: tuple[int, int]
    images: list[torch.Tensor]
    features: list[torch.Tensor]
    levels: list[PyramidLevel]
    ranked: RankedWindows
    proposals: MaskProposals
    kept: MaskProposals


def build_stage_inputs(
    model: InstanceFCNProposal, scales: tuple[float, ...], size: tuple[int, int]
) -> StageInputs:
    """Run all stages once, on noise."""
    options = replace(model.options.test, scales=scales)
    network, noise = model.network, torch.randn(3, *size, device=model.device)
    images, features, levels = [], [], []
    for scale in scales:
        resized = resize_image(noise, pyramid_size(noise.shape[1:], scale, options.max_side))
        images.append(pad_to_cells(resized, network.stride)[None])
        features.append(network.backbone(images[-1]))
        maps = network.branches(features[-1]).float()
        spread = maps.mask_maps - maps.mask_maps.mean()
        maps = ProposalMaps(spread / spread.std(), maps.objectness)
        levels.append(level_of(maps, (resized.shape[1], resized.shape[2])))
    ranked = rank_windows(levels, options.pre_nms_topk)
    proposals = assemble_windows(network, levels, ranked, size, options.mask_thresh)
    scores, threshold = proposals.objectness, options.nms_thresh
    kept = proposals.take(greedy_nms(proposals.boxes, scores, threshold, options.topk))
    return StageInputs(model, options, size, images, features, levels, ranked, proposals, kept)


def stages(inputs: StageInputs) -> dict[str, Work]:
    """What each stage does."""
    options, network = inputs.options, inputs.model.network
    found, kept = inputs.proposals, inputs.kept
    return {
        "backbone": lambda: [network.backbone(image) for image in inputs.images],
        "heads": lambda: [network.branches(features) for features in inputs.features],
        "assembling": lambda: assembled(inputs),
        "boxes": lambda: tight_boxes(
            found.mask_logits, found.windows, inputs.size, options.mask_thresh
        ),
        "NMS": lambda: greedy_nms(found.boxes, found.objectness, options.nms_thresh, options.topk),
        "pasting": lambda: paste_masks(
            kept.mask_logits, kept.windows, inputs.size, options.mask_thresh
        ),
    }


def assembled(inputs: StageInputs) -> torch.Tensor:
    """(P, s, s) mask logits of the ranked windows, by blocks as inference makes them."""
    ranked, network = inputs.ranked, inputs.model.network
    logits = torch.empty_like(inputs.proposals.mask_logits)
    for block in torch.arange(len(logits), device=logits.device).split(BLOCK):
        for index, level in enumerate(inputs.levels):
            here = block[ranked.level[block] == index]
            logits[here] = network.mask_logits(level.maps, ranked.windows[here])
    return logits


def few_windows(inputs: StageInputs, count: int) -> StageInputs:
    """The same with the best windows only, all of which are pasted.

    Boxes are in double precision, as the reference's: windows are on a grid, so that many overlaps
    equal the threshold of suppression but for rounding.
    """
    first = slice(0, count)
    proposals = inputs.proposals.take(torch.arange(len(inputs.proposals))[first])
    proposals = replace(proposals, boxes=proposals.boxes.double())
    return replace(inputs, ranked=inputs.ranked.take(first), proposals=proposals, kept=proposals)
