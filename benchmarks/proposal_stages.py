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

from recseg_d2.layers.nms import BLOCK, greedy_nms
from recseg_d2.meta_arch.instance_fcn_proposal import InstanceFCNProposal
from recseg_d2.models.instance_fcn.network import ProposalMaps
from recseg_d2.models.instance_fcn.pasting import paste_masks
from recseg_d2.models.instance_fcn.proposals import (
    ProposalOptions,
    PyramidLevel,
    RankedWindows,
    assemble_windows,
    level_of,
    pad_to_cells,
    rank_windows,
    resize_to,
    scaled_size,
    tight_boxes,
)
from recseg_d2.structures import MaskProposals

Work = Callable[[], Any]


@dataclass
class Scene:
    """An image on its way through the stages.

    Attributes:
        model: in evaluation mode.
        options: of inference, with the scales that are measured.
        size: H and W.
        images: (1, 3, h, w) padded, of each scale.
        features: of the backbone, of each scale.
        levels: of the pyramid.
        ranked: windows that are assembled.
        proposals: of these windows, before suppression.
        kept: those of them that are pasted.
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


def build_scene(
    model: InstanceFCNProposal, scales: tuple[float, ...], size: tuple[int, int]
) -> Scene:
    """Run all stages once, on noise."""
    options = replace(model.proposal_options, scales=scales)
    network, noise = model.network, torch.randn(3, *size, device=model.device)
    images, features, levels = [], [], []
    for scale in scales:
        resized = resize_to(noise, scaled_size(noise.shape[1:], scale, options.max_side))
        images.append(pad_to_cells(resized, network.stride)[None])
        features.append(network.backbone(images[-1]))
        maps = network.branches(features[-1]).float()
        spread = maps.mask_maps - maps.mask_maps.mean()
        maps = ProposalMaps(spread / spread.std(), maps.objectness)
        levels.append(level_of(maps, (resized.shape[1], resized.shape[2])))
    ranked = rank_windows(levels, options.pre_top)
    proposals = assemble_windows(network, levels, ranked, size, options.mask_threshold)
    scores, threshold = proposals.objectness, options.nms_threshold
    kept = proposals.take(greedy_nms(proposals.boxes, scores, threshold, options.top))
    return Scene(model, options, size, images, features, levels, ranked, proposals, kept)


def stages(scene: Scene) -> dict[str, Work]:
    """What each stage does."""
    options, network = scene.options, scene.model.network
    found, kept = scene.proposals, scene.kept
    return {
        "backbone": lambda: [network.backbone(image) for image in scene.images],
        "heads": lambda: [network.branches(features) for features in scene.features],
        "assembling": lambda: assembled(scene),
        "boxes": lambda: tight_boxes(
            found.mask_logits, found.windows, scene.size, options.mask_threshold
        ),
        "NMS": lambda: greedy_nms(
            found.boxes, found.objectness, options.nms_threshold, options.top
        ),
        "pasting": lambda: paste_masks(
            kept.mask_logits, kept.windows, scene.size, options.mask_threshold
        ),
    }


def assembled(scene: Scene) -> torch.Tensor:
    """(P, s, s) mask logits of the ranked windows, by blocks as inference makes them."""
    ranked, network = scene.ranked, scene.model.network
    logits = torch.empty_like(scene.proposals.mask_logits)
    for block in torch.arange(len(logits), device=logits.device).split(BLOCK):
        for index, level in enumerate(scene.levels):
            here = block[ranked.level[block] == index]
            logits[here] = network.mask_logits(level.maps, ranked.windows[here])
    return logits


def few_windows(scene: Scene, count: int) -> Scene:
    """The scene with its best windows only, all of which are pasted.

    Boxes are in double precision, as the reference's: windows are on a grid, so that many overlaps
    equal the threshold of suppression but for rounding.
    """
    first = slice(0, count)
    proposals = scene.proposals.take(torch.arange(len(scene.proposals))[first])
    proposals = replace(proposals, boxes=proposals.boxes.double())
    return replace(scene, ranked=scene.ranked.take(first), proposals=proposals, kept=proposals)
