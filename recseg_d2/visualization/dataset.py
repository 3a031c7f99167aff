"""Figures of predictions on a data set.

Shared by the trainer's hook, the demo and ``recseg visualize``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.structures import Instances
from torch import nn

from recseg_d2.data.annotations import label_map_from_dict
from recseg_d2.data.image_io import read_bgr
from recseg_d2.files import make_folder
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.structures import InstanceSequence
from recseg_d2.visualization.attention import AttentionTrace, draw_attention
from recseg_d2.visualization.montage import MontageEntry, draw_montage
from recseg_d2.visualization.panels import PANEL_SIDE
from recseg_d2.visualization.sequences import draw_sequence


def draw_dataset_predictions(
    dicts: Sequence[dict[str, Any]],
    instances_list: Sequence[Instances],
    output_dir: str | Path,
    side: int = PANEL_SIDE,
    per_row: int = 1,
) -> list[Path]:
    """Draw montage.png and a sequence_<image>.png for each image, beside its ground truth.

    Args:
        dicts: Detectron2's standard dicts; one without "annotations" has no ground truth.
        instances_list: the predictions, in the same order, masks at the images' own size.
        output_dir: made where it is missing; figures of the same name are overwritten.
        side: longest side of a panel in pixels.
        per_row: images side by side in the montage.

    Returns:
        the files, the montage first; none where there is no image.

    Raises:
        ValueError: the two lists differ in length.
        UserError: an image cannot be read, an annotation does not fit it, or the folder cannot be
            made.
    """
    if len(dicts) != len(instances_list):
        raise ValueError(f"{len(dicts)} images and {len(instances_list)} predictions.")
    if not dicts:
        return []
    folder = make_folder(output_dir)
    files = [folder / "montage.png"]
    entries = []
    for record, instances in zip(dicts, instances_list, strict=True):
        found = instances.to("cpu")
        entry = _montage_entry(record, found)
        entries.append(entry)
        figure = draw_sequence(
            entry.image,
            found.pred_masks.numpy(),
            found.scores.numpy(),
            found.step.numpy(),
            ground_truth=entry.ground_truth,
            side=side,
        )
        files.append(folder / f"sequence_{image_name(record)}.png")
        figure.save(files[-1])
    draw_montage(entries, side=side, per_row=per_row).save(files[0])
    return files


def draw_dataset_attention(
    model: nn.Module,
    dicts: Sequence[dict[str, Any]],
    inputs: Iterable[dict[str, Any]],
    output_dir: str | Path,
    side: int = PANEL_SIDE,
    all_glimpses: bool = False,
) -> list[Path]:
    """Draw attention_<image>.png for each image, where the model has attention to show.

    Args:
        model: in evaluation mode; one that leaves no trace gives no figure.
        dicts: Detectron2's standard dicts; one without "annotations" has no ground truth.
        inputs: the model's input dict of each of them.
        output_dir: made where it is missing; figures of the same name are overwritten.
        side: longest side of a panel in pixels.
        all_glimpses: a row for every glimpse instead of one for the last.

    Returns:
        the files; none where the model leaves no trace.
    """
    files: list[Path] = []
    if not isinstance(model, SequentialModel):
        return files
    for record, dict_ in zip(dicts, inputs, strict=True):
        with torch.no_grad():
            sequence = model.traced_sequence(dict_)
        if not sequence.trace:
            break
        image, truth = image_and_truth(record)
        figure = draw_attention(
            image,
            trace_of(sequence),
            truth,
            score_threshold=model.options.score_threshold,
            mask_threshold=model.options.mask_threshold,
            all_glimpses=all_glimpses,
            side=side,
        )
        files.append(make_folder(output_dir) / f"attention_{image_name(record)}.png")
        figure.save(files[-1])
    return files


def trace_of(sequence: InstanceSequence) -> AttentionTrace:
    """The trace of the first image of a batch, for drawing; names that are no map are left out."""
    known = AttentionTrace.__dataclass_fields__
    return AttentionTrace(
        masks=_array(sequence.mask_logits.sigmoid()),
        scores=_array(sequence.score_logits.sigmoid()),
        **{name: _array(values) for name, values in sequence.trace.items() if name in known},
    )


def _array(values: torch.Tensor) -> np.ndarray:
    """The first of a batch, as float32."""
    return values[0].detach().float().cpu().numpy()


def image_name(record: dict[str, Any]) -> str:
    """The image_id as a part of a file name."""
    return re.sub(r"[^\w.-]+", "_", str(record["image_id"]))


def image_and_truth(record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 3) RGB and the label map (H, W), where there are annotations."""
    image = read_bgr(record["file_name"])[:, :, ::-1]
    if "annotations" not in record:
        return image, None
    size = {"height": image.shape[0], "width": image.shape[1]}
    return image, label_map_from_dict({**size, **record})


def _montage_entry(record: dict[str, Any], found: Instances) -> MontageEntry:
    image, truth = image_and_truth(record)
    in_order = np.argsort(found.step.numpy(), kind="stable")
    masks = found.pred_masks.numpy()[in_order]
    return MontageEntry(image, masks, truth, caption=str(record["image_id"]))
