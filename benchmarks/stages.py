"""Seconds of the stages of InstanceFCN's inference, beside a literal reference.

The literal loops of ``tests/reference`` do the last four stages one window and one pixel at a time;
they are timed on some of the best windows, and ours on the same ones beside them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from reference.instance_fcn_literal import assemble
from reference.proposals_literal import greedy_nms, paste_mask, tight_box

from benchmarks.models import interleaved_seconds
from benchmarks.proposal_stages import StageInputs, Work, build_stage_inputs, few_windows, stages
from recseg_d2.errors import UserError
from recseg_d2.layers.assembling import OUTSIDE_LOGIT
from recseg_d2.meta_arch.instance_fcn_proposal import InstanceFCNProposal

LITERAL_STAGES = {  # how many times as many windows as pasted go through the reference
    "assembling": 10,
    "boxes": 1,
    "NMS": 20,
    "pasting": 1,
}
PIXELS_MAY_DIFFER = 1e-4  # share of pasted pixels: values at the threshold but for rounding


@dataclass(frozen=True)
class StageSettings:
    """What is measured.

    Attributes:
        size: height and width of the image in pixels.
        repeats: number of timed runs, of which the median is reported.
        literal_windows: windows that the literal reference pastes, see ``LITERAL_STAGES``; 0
            leaves it out.
    """

    size: tuple[int, int] = (375, 500)
    repeats: int = 3
    literal_windows: int = 50


def stage_rows(cfg: CfgNode, settings: StageSettings) -> list[dict[str, Any]]:
    """A row of a table for each stage, at the middle scale alone and at all scales.

    Raises:
        UserError: the config's model is no InstanceFCNProposal.
    """
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    if not isinstance(model, InstanceFCNProposal):
        raise UserError(
            f"--stages needs a config of InstanceFCNProposal, found "
            f"{cfg.MODEL.META_ARCHITECTURE}; name one with --config-file."
        )
    scales = model.options.test.scales
    rows = []
    for chosen in ((scales[len(scales) // 2],), scales):
        with torch.inference_mode():
            rows += _rows(build_stage_inputs(model, chosen, settings.size), settings)
    return rows


def literal_stages(inputs: StageInputs) -> dict[str, Work]:
    """The same stages by the references, where they have them."""
    network, threshold = inputs.model.network, inputs.options.mask_thresh
    found = inputs.proposals
    masks, windows = found.mask_logits.double().cpu().numpy(), found.windows.cpu().numpy()
    boxes, scores = found.boxes.tolist(), found.objectness.tolist()
    maps = [level.maps.mask_maps.cpu() for level in inputs.levels]
    jobs = list(zip(inputs.ranked.level.tolist(), inputs.ranked.windows.cpu(), strict=True))
    pairs = list(zip(masks, windows, strict=True))
    works: dict[str, Work] = {
        "boxes": lambda: [tight_box(m, w, inputs.size, threshold) for m, w in pairs],
        "NMS": lambda: greedy_nms(boxes, scores, inputs.options.nms_thresh),
        "pasting": lambda: [paste_mask(m, w, inputs.size, threshold) for m, w in pairs],
    }
    if network.options.mask_head == "assembling":
        works["assembling"] = lambda: [
            assemble(maps[k], window[None], network.window, OUTSIDE_LOGIT)[0].numpy()
            for k, window in jobs
        ]
    return works


def same_output(stage: str, ours: Any, literal: Any) -> bool:
    """Whether both made the same: bit for bit, but for rounding where numbers are computed."""
    if stage == "NMS":
        return ours.tolist() == literal[: len(ours)]
    array = ours.cpu().numpy()
    if stage == "boxes":
        boxes = [[0.0] * 4 if box is None else box for box in literal]
        return bool(np.allclose(array, boxes, atol=1e-2))
    if stage == "pasting":
        return bool((array != np.stack(literal)).mean() <= PIXELS_MAY_DIFFER)
    return bool((array == np.stack(literal)).all())


def _rows(inputs: StageInputs, settings: StageSettings) -> list[dict[str, Any]]:
    """The table's rows at some scales."""
    device = inputs.model.device
    seconds = interleaved_seconds(stages(inputs), settings.repeats, device)
    beside = _beside_literal(inputs, settings) if settings.literal_windows else {}
    return [
        {
            "scales": len(inputs.levels),
            "stage": stage,
            "windows": len(inputs.proposals),
            "ms": 1000 * value,
            **beside.get(stage, {}),
        }
        for stage, value in seconds.items()
    ]


def _beside_literal(inputs: StageInputs, settings: StageSettings) -> dict[str, dict[str, Any]]:
    """By stage: how often ours is faster on the same windows, and whether the output is equal."""
    found = {}
    for stage, times in LITERAL_STAGES.items():
        few = few_windows(inputs, settings.literal_windows * times)
        work = literal_stages(few).get(stage)
        if work is None:
            continue
        ours = stages(few)[stage]
        seconds = interleaved_seconds({stage: ours}, settings.repeats, inputs.model.device)[stage]
        started = time.perf_counter()
        expected = work()  # once: it takes long enough to be timed well
        literal_seconds = time.perf_counter() - started
        found[stage] = {
            "compared": len(few.proposals),
            "literal ms": 1000 * literal_seconds,
            "times faster": literal_seconds / seconds,
            "equal": same_output(stage, ours(), expected),
        }
    return found
