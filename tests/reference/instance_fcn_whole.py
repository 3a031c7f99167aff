"""InstanceFCN's inference as the text says it: a window over every cell, one value at a time.

The network's convolutions, and which windows of a scale may be looked at, are the package's.
"""

from __future__ import annotations

import numpy as np
import torch
from detectron2.structures import Boxes, Instances
from torch import nn

from recseg_d2.layers.assembling import OUTSIDE_LOGIT
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.meta_arch.instance_fcn_proposal import to_instances
from recseg_d2.models.instance_fcn.proposals import build_pyramid, rank_windows
from reference import instance_fcn_literal, proposals_literal


def window_mask(network, maps, window):
    """(s, s) logits of one window; where masks are not assembled, a layer of the network's."""
    if network.options.mask_head != "assembling":
        mask = network.mask_branch.mask_logits(maps, window.to(maps.device))[0].cpu()
    else:
        mask = instance_fcn_literal.assemble(maps, window, network.window, OUTSIDE_LOGIT)[0]
    return mask.double().numpy()


def window_place(network, window, level_size, size):
    """x1 y1 x2 y2 of a window in pixels of the image that masks are wanted for."""
    zoom = torch.tensor([size[1] / level_size[1], size[0] / level_size[0]]).repeat(2)
    return (network.geometry.boxes(window)[0] * zoom).double().numpy()


def literal_proposals(model: nn.Module, image: torch.Tensor, size: tuple[int, int]) -> Instances:
    """Proposals of a normalised image (3, h, w) at the size (H, W)."""
    options, network = model.options.test, model.network
    levels = build_pyramid(network, image, options)
    ranked = rank_windows(levels, options.pre_nms_topk)
    maps = [level.maps.mask_maps for level in levels]
    if network.options.mask_head == "assembling":
        maps = [m.cpu() for m in maps]
    found = []  # mask, window, box, score
    jobs = zip(ranked.level.tolist(), ranked.windows.cpu(), ranked.objectness.tolist(), strict=True)
    for index, window, score in jobs:
        mask = window_mask(network, maps[index], window[None])
        place = window_place(network, window[None], levels[index].size, size)
        box = proposals_literal.tight_box(mask, place, size, options.mask_thresh)
        if box is not None:
            found.append((mask, place, box, score))
    boxes, scores = [x[2] for x in found], [x[3] for x in found]
    kept = proposals_literal.greedy_nms(boxes, scores, options.nms_thresh)[: options.topk]
    masks = [
        proposals_literal.paste_mask(found[k][0], found[k][1], size, options.mask_thresh)
        for k in kept
    ]
    filled = [n for n, mask in enumerate(masks) if mask.any()]
    masks = np.array([masks[n] for n in filled], dtype=bool).reshape(-1, *size)
    pasted = torch.from_numpy(masks).to(image.device)
    return Instances(
        size,
        proposal_boxes=Boxes(masks_to_boxes(pasted)),
        objectness_logits=torch.tensor([scores[kept[n]] for n in filled]).to(image.device),
        pred_masks=pasted,
    )


def make_literal(model: nn.Module) -> None:
    """Let an InstanceFCNProposal that assembles masks propose literally; for the benchmarks."""

    def infer(image, size):
        proposals = literal_proposals(model, image, size)
        instances = to_instances(proposals, model.options.test)
        return {"proposals": proposals, "instances": instances, "trace": {}}

    model._infer = infer
