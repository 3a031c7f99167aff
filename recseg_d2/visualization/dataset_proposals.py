"""Figures of proposals on a data set.

Shared by the trainer's hook and ``recseg visualize``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from recseg_d2.files import make_folder
from recseg_d2.layers.nms import greedy_nms
from recseg_d2.meta_arch.instance_fcn_proposal import InstanceFCNProposal
from recseg_d2.models.instance_fcn.pasting import paste_masks
from recseg_d2.models.instance_fcn.proposals import build_pyramid, rank_windows, select
from recseg_d2.structures import MaskProposals
from recseg_d2.visualization.dataset import image_and_truth, image_name
from recseg_d2.visualization.panels import PANEL_SIDE
from recseg_d2.visualization.score_maps import ProposalTrace, draw_proposals

INSTANCES = 12  # drawn one by one, at most


def draw_dataset_proposals(
    model: nn.Module,
    dicts: Sequence[dict[str, Any]],
    inputs: Iterable[dict[str, Any]],
    output_dir: str | Path,
    side: int = PANEL_SIDE,
) -> list[Path]:
    """Draw proposals_<image>.png for each image, where the model is an ``InstanceFCNProposal``.

    Args:
        model: in evaluation mode; another one gives no figure.
        dicts: Detectron2's standard dicts; one without "annotations" has no ground truth.
        inputs: the model's input dict of each of them.
        output_dir: made where it is missing; figures of the same name are overwritten.
        side: longest side of a panel in pixels.

    Returns:
        the files.
    """
    files: list[Path] = []
    if not isinstance(model, InstanceFCNProposal):
        return files
    for record, dict_ in zip(dicts, inputs, strict=True):
        image, truth = image_and_truth(record)
        trace = trace_proposals(model, dict_["image"], (image.shape[0], image.shape[1]))
        files.append(make_folder(output_dir) / f"proposals_{image_name(record)}.png")
        draw_proposals(image, trace, truth, side).save(files[-1])
    return files


@torch.no_grad()
def trace_proposals(
    model: InstanceFCNProposal, image: torch.Tensor, size: tuple[int, int]
) -> ProposalTrace:
    """What a model makes of an image, with the maps of the scale that its best window is of.

    Args:
        model: in evaluation mode.
        image: (3, h, w) as the model takes it.
        size: H and W, the pixels to draw in.
    """
    options = model.proposal_options
    levels = build_pyramid(model.network, model.normalised(image), options)
    ranked = rank_windows(levels, options.pre_top)
    found = select(model.network, levels, ranked, size, options)
    level = levels[int(ranked.level[0])]
    maps, objectness = level.maps.mask_maps[0], level.maps.objectness[0, 0]
    cells = [side * model.network.stride for side in objectness.shape]
    best = _instances(found, model)
    assembled = model.network.options.mask_head == "assembling"
    return ProposalTrace(
        masks=_paste(found, options.mask_threshold),
        objectness=objectness.sigmoid().cpu().numpy(),
        extent=(cells[0] / level.size[0], cells[1] / level.size[1]),
        instances=_paste(best, options.mask_threshold),
        scores=best.objectness.sigmoid().cpu().numpy(),
        windows=_shares(best.windows.cpu().numpy(), size),
        maps=maps.sigmoid().cpu().numpy() if assembled else None,
    )


def _instances(found: MaskProposals, model: InstanceFCNProposal) -> MaskProposals:
    """The best proposals without near copies of each other, however unsure the model is."""
    threshold = model.instance_options.nms_threshold
    return found.take(greedy_nms(found.boxes, found.objectness, threshold, INSTANCES))


def _paste(found: MaskProposals, threshold: float) -> np.ndarray:
    return paste_masks(found.mask_logits, found.windows, found.size, threshold).cpu().numpy()


def _shares(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(K, 4) x1 y1 x2 y2 in pixels -> y, x of the centre, height and width as shares."""
    x1, y1, x2, y2 = boxes.T
    height, width = size
    return np.stack(
        [(y1 + y2) / 2 / height, (x1 + x2) / 2 / width, (y2 - y1) / height, (x2 - x1) / width],
        axis=1,
    )
