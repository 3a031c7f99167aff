"""Figures of predictions on a data set. May use: the package, detectron2.

Shared by the trainer's hook, the demo and ``recseg visualize``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.structures import Instances

from recseg_d2.engine.predictor import read_bgr
from recseg_d2.evaluation.ground_truth import label_map_from_dict
from recseg_d2.files import make_folder
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


def image_name(record: dict[str, Any]) -> str:
    """The image_id as a part of a file name."""
    return re.sub(r"[^\w.-]+", "_", str(record["image_id"]))


def _montage_entry(record: dict[str, Any], found: Instances) -> MontageEntry:
    image = read_bgr(record["file_name"])[:, :, ::-1]
    truth = None
    if "annotations" in record:
        size = {"height": image.shape[0], "width": image.shape[1]}
        truth = label_map_from_dict({**size, **record})
    in_order = np.argsort(found.step.numpy(), kind="stable")
    masks = found.pred_masks.numpy()[in_order]
    return MontageEntry(image, masks, truth, caption=str(record["image_id"]))
