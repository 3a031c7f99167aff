"""Pictures of predictions on a data set, and of how the model came by them.

Shared by the trainer's hook, the demo and ``recseg visualize``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from recseg_d2.data.annotations import label_map_from_dict
from recseg_d2.data.io.images import for_display, read_image
from recseg_d2.files import make_folder, save_image
from recseg_d2.layers.nms import greedy_nms
from recseg_d2.meta_arch.dense_attention_seg import DenseAttentionSeg
from recseg_d2.meta_arch.instance_fcn_proposal import InstanceFCNProposal
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.models.dense_attention.search import SearchResult
from recseg_d2.models.dense_attention.trunk import FINE_STRIDE
from recseg_d2.models.instance_fcn.pasting import paste_masks
from recseg_d2.structures import MaskProposals
from recseg_d2.visualization.looks import LookTrace, draw_looks
from recseg_d2.visualization.montage import MontageEntry, lay_out_montage
from recseg_d2.visualization.panels import PANEL_SIDE
from recseg_d2.visualization.score_maps import ProposalTrace, draw_proposals
from recseg_d2.visualization.steps import AttentionTrace, draw_attention, draw_sequence

LOOKS = 21  # of the figure of a search, at most
INSTANCES = 12  # of the figure of proposals, drawn one by one, at most


def draw_pictures(
    model: nn.Module,
    dicts: Sequence[dict[str, Any]],
    outputs: Iterable[dict[str, Any]],
    output_dir: str | Path,
    side: int = PANEL_SIDE,
    per_row: int = 1,
    all_glimpses: bool = False,
) -> list[Path]:
    """Draw montage.png and a sequence_<image>.png for each image, beside its ground truth.

    Where an output has a "trace", there is a third figure of how the model came by it:
    attention_<image>.png of recurrent models, looks_<image>.png of dense attention, and
    proposals_<image>.png of InstanceFCN.

    Args:
        model: the model that gave the outputs.
        dicts: Detectron2's standard dicts; one without "annotations" has no ground truth.
        outputs: what the model gave for each, in the same order, see ``traced_inference`` of the
            meta-architectures; "instances" are at the image's own size. One is needed at a time.
        output_dir: made where it is missing; figures of the same name are overwritten.
        side: longest side of a panel in pixels.
        per_row: number of images side by side in the montage.
        all_glimpses: whether figures of attention have a row for every glimpse, not for the last
            alone.

    Returns:
        the files, the montage first; none where there is no image.

    Raises:
        ValueError: the dicts and outputs differ in number.
        UserError: an image cannot be read, an annotation does not fit it, or the folder cannot be
            made.
    """
    if not dicts:
        return []
    folder = make_folder(output_dir)
    entries, sequences, workings = [], [], []
    for record, output in zip(dicts, outputs, strict=True):
        image, truth = image_and_truth(record)
        found, name = output["instances"].to("cpu"), figure_name(record)
        # in the order of discovery, which colours stand for
        found = found[found.step.argsort(stable=True)]
        entry = MontageEntry(image, found.pred_masks, truth, caption=str(record["image_id"]))
        # panels, not images: those of many large images do not fit in memory
        entries.append(entry.panels(side))
        figure = draw_sequence(image, found.pred_masks, found.scores, found.step, truth, side)
        sequences.append(folder / f"sequence_{name}.png")
        save_image(sequences[-1], figure)
        if output.get("trace"):
            kind, figure = draw_workings(model, output, image, truth, side, all_glimpses)
            workings.append(folder / f"{kind}_{name}.png")
            save_image(workings[-1], figure)
    montage = folder / "montage.png"
    save_image(montage, lay_out_montage(entries, per_row))
    return [montage, *sequences, *workings]


def draw_workings(
    model: nn.Module,
    output: dict[str, Any],
    image: np.ndarray,
    truth: np.ndarray | None,
    side: int,
    all_glimpses: bool,
) -> tuple[str, Image.Image]:
    """The figure of a trace, and what it shows, as in the file's name.

    Raises:
        TypeError: there is no figure for this kind of model.
    """
    if isinstance(model, SequentialModel):
        return "attention", draw_attention(
            image,
            attention_trace(output["trace"]),
            truth,
            score_threshold=model.test_options.score_thresh,
            mask_threshold=model.test_options.mask_thresh,
            all_glimpses=all_glimpses,
            side=side,
        )
    if isinstance(model, DenseAttentionSeg):
        return "looks", draw_looks(image, look_traces(output["trace"]), truth, side)
    if isinstance(model, InstanceFCNProposal):
        return "proposals", draw_proposals(image, proposal_trace(model, output), truth, side)
    raise TypeError(f"{type(model).__name__} leaves a trace that no figure shows.")


def attention_trace(trace: dict[str, torch.Tensor]) -> AttentionTrace:
    """A model's trace of an image for drawing; names that the figure does not know are left out."""
    known = AttentionTrace.__dataclass_fields__
    arrays = {name: v.detach().float().cpu().numpy() for name, v in trace.items() if name in known}
    return AttentionTrace(**arrays)


def look_traces(result: SearchResult) -> list[LookTrace]:
    """The first looks of a search for drawing."""
    height, width = result.drawing.size
    traces = []
    for look in result.looks[:LOOKS]:
        heat = result.heat[look.round][: -(-height // FINE_STRIDE), : -(-width // FINE_STRIDE)]
        mask = np.zeros(result.drawing.padded_size, bool)
        written = look.drawn.pixels(result.drawing.padded_size)
        if written is not None:
            rows, columns, values = written
            mask[rows, columns] = (values > 0.5).numpy()
        box = _shares(np.array([look.box]), (height, width))[0]
        own = mask[:height, :width]
        traces.append(LookTrace(heat.numpy(), box, own, look.score, look.found >= 0))
    return traces


@torch.no_grad()
def proposal_trace(model: InstanceFCNProposal, output: dict[str, Any]) -> ProposalTrace:
    """The trace of an image for drawing, with the maps of the scale of its best window."""
    found, level = output["trace"]["found"], output["trace"]["level"]
    maps, objectness = level.maps.mask_maps[0], level.maps.objectness[0, 0]
    cells = [side * model.network.stride for side in objectness.shape]
    best = _instances(found, model)
    threshold = model.options.test.mask_thresh
    masks = paste_masks(best.mask_logits, best.windows, best.size, threshold)
    assembled = model.options.head.mask_head == "assembling"
    return ProposalTrace(
        masks=output["proposals"].pred_masks.cpu().numpy(),
        objectness=objectness.sigmoid().cpu().numpy(),
        extent=(cells[0] / level.size[0], cells[1] / level.size[1]),
        instances=masks.cpu().numpy(),
        scores=best.objectness.sigmoid().cpu().numpy(),
        windows=_shares(best.windows.cpu().numpy(), found.size),
        maps=maps.sigmoid().cpu().numpy() if assembled else None,
    )


def figure_name(record: dict[str, Any]) -> str:
    """The image_id of a standard dict as a part of a file's name."""
    return re.sub(r"[^\w.-]+", "_", str(record["image_id"]))


def image_and_truth(record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 3) RGB and the label map (H, W), where there are annotations."""
    image = for_display(read_image(record["file_name"]))
    if "annotations" not in record:
        return image, None
    size = {"height": image.shape[0], "width": image.shape[1]}
    return image, label_map_from_dict({**size, **record})


def _instances(found: MaskProposals, model: InstanceFCNProposal) -> MaskProposals:
    """The best proposals without near copies of each other, however unsure the model is."""
    threshold = model.options.test.instance_nms_thresh
    return found.take(greedy_nms(found.boxes, found.objectness, threshold, INSTANCES))


def _shares(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(K, 4) x1 y1 x2 y2 in pixels -> y, x of the centre, height and width as shares."""
    x1, y1, x2, y2 = boxes.T
    height, width = size
    return np.stack(
        [(y1 + y2) / 2 / height, (x1 + x2) / 2 / width, (y2 - y1) / height, (x2 - x1) / width],
        axis=1,
    )
