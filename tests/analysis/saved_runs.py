"""Standard dicts of rectangles, and run folders with saved predictions of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from recseg_d2.analysis.run_folder import RunFolder, open_runs
from recseg_d2.analysis.subjects import Options, Subject, subjects_of
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.coco_results import encode_masks
from recseg_d2.evaluation.predictions import (
    SavedPredictions,
    predictions_file,
    save_predictions,
)

HEIGHT, WIDTH = 20, 40

Box = tuple[int, int, int, int]  # top, left, bottom, right
Found = tuple[Box, int, float]  # a rectangle, its class and score


def rectangle(box: Box) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[box[0] : box[2], box[1] : box[3]] = True
    return mask


def standard_dict(image_id, objects: list[tuple[Box, int]], crowds: list[Box] = ()) -> dict:
    """Rectangles of classes, and crowd regions, as a standard dict."""
    labels, classes = np.zeros((HEIGHT, WIDTH), int), {}
    for label, (box, category) in enumerate(objects, start=1):
        labels[rectangle(box)], classes[label] = label, category
    annotations = label_map_to_annotations(labels, classes)
    for box in crowds:
        (crowd,) = label_map_to_annotations(rectangle(box).astype(int))
        annotations.append({**crowd, "iscrowd": 1})
    size = {"height": HEIGHT, "width": WIDTH}
    return {
        "file_name": f"{image_id}.png",
        "image_id": image_id,
        **size,
        "annotations": annotations,
    }


def save_run(
    folder: Path, dataset: str, images: dict[object, list[Found]], ordered: bool = True
) -> Path:
    """A run's output folder with saved predictions: by image id, in the order of discovery."""
    saved = []
    for image_id, found in images.items():
        masks = np.stack([rectangle(box) for box, _, _ in found]) if found else np.zeros((0, 1, 1))
        instances = [
            {"category_id": c, "score": s, "step": k if ordered else None, "segmentation": rle}
            for k, ((_, c, s), rle) in enumerate(zip(found, encode_masks(masks), strict=True))
        ]
        size = {"height": HEIGHT, "width": WIDTH}
        saved.append({"image_id": image_id, **size, "instances": instances})
    path = folder / "inference" / dataset / predictions_file(dataset)
    save_predictions(SavedPredictions(path, dataset, ("person", "horse"), saved))
    return folder


def save_metrics(folder: Path, lines: list[dict]) -> Path:
    """A run's output folder with metrics.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def runs(*folders: Path) -> list[RunFolder]:
    return open_runs(folders)


def subjects(*folders: Path, **options) -> list[Subject]:
    found, _ = subjects_of(runs(*folders), Options(**options))
    return found
