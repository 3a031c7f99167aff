"""Standard dicts of rectangles, and run folders with saved predictions of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from recseg_d2.analysis.evidence import PredictedObjects, predicted_objects
from recseg_d2.analysis.predictions import AnalysisInput, AnalysisOptions, RunPredictions
from recseg_d2.analysis.run_folder import RunFolder, open_runs
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.coco_results import image_of, results_of, save_results

HEIGHT, WIDTH = 20, 40
PERSON_AND_HORSE = [{"id": 0, "name": "person"}, {"id": 1, "name": "horse"}]

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
    path = folder / "inference" / dataset / f"predictions_{dataset}.json"
    save_results(path, *results(images, ordered), PERSON_AND_HORSE, dataset)
    return folder


def results(images: dict[object, list[Found]], ordered: bool = True) -> tuple[list, list]:
    """COCO's results of rectangles, and the list of images."""
    entries = []
    for image_id, found in images.items():
        masks = [rectangle(box) for box, _, _ in found]
        classes, scores = [c for _, c, _ in found], [s for _, _, s in found]
        steps = list(range(len(found))) if ordered else None
        entries += results_of(image_id, masks, scores, classes, steps)
    return entries, [image_of({"image_id": image_id}, (HEIGHT, WIDTH)) for image_id in images]


def found_objects(*boxes: Box) -> PredictedObjects:
    """Rectangles of class 0 as they are read back, in the order of discovery."""
    entries, (image,) = results({"any": [(box, 0, 1.0) for box in boxes]})
    return predicted_objects(image, entries, lambda entry: 0)


def save_metrics(folder: Path, lines: list[dict]) -> Path:
    """A run's output folder with metrics.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def runs(*folders: Path) -> list[RunFolder]:
    return open_runs(folders)


def data(*folders: Path, **options) -> AnalysisInput:
    """What analyses take."""
    return AnalysisInput(runs(*folders), AnalysisOptions(**options))


def predictions(*folders: Path, **options) -> list[RunPredictions]:
    found, _ = data(*folders, **options).saved
    return found
