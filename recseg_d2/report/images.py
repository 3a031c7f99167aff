"""What the page draws of each image, ready for JSON.

    {"name": .., "size": [height, width] of the picture, "picture": data URI,
     "truth": {"masks": [..], "areas": [..]} or null, "runs": [of a run or null, ..]}

A run's part of an image has, of K objects in the order of discovery and N true ones::

    masks, areas, scores, steps, classes   of each object; its area in pixels of the image
    kinds, iou      of each object, and null without ground truth: the index of its kind in KINDS,
                    its best overlap with a true object
    partners, found of each true object, and null without ground truth: the object that overlaps it
                    most, or -1; whether it counts as found
    numbers         scores of the image by the metric's key
    windows, heats  null where the model does not tell where it looked; else of each object
                    [x, y, width, height, index in heats], shares of the image's sides, and pictures
                    whose grey is the attention

A mask is the "counts" of COCO's compressed RLE, of the size of the picture.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recseg_d2 import rle
from recseg_d2.analysis.evidence import check_size
from recseg_d2.analysis.predictions import RunPredictions
from recseg_d2.data.io.images import for_display, read_image
from recseg_d2.engine.predictor import Predictor
from recseg_d2.evaluation.ground_truth import true_masks
from recseg_d2.report.gathering import ImageOfRuns, numbers_of
from recseg_d2.report.windows import Window, windows_of
from recseg_d2.visualization.instances import fit_masks, partners
from recseg_d2.visualization.panels import fitted_size, resize_picture

QUALITY = 82  # of WebP, 0 to 100

Size = tuple[int, int]


def describe_image(
    image: ImageOfRuns,
    predictions: Sequence[RunPredictions],
    predictors: Sequence[Predictor | None],
    side: int,
) -> dict[str, Any]:
    """An image as in the module's docstring.

    Args:
        image: the image, and where each run has it.
        predictions: of all runs.
        predictors: of each run, to ask where it looked; None asks none.
        side: longest side of the picture in pixels; smaller images stay as they are.

    Raises:
        UserError: the image cannot be read, or is of another size than its masks.
    """
    pixels = for_display(read_image(image.file))
    given = (pixels.shape[0], pixels.shape[1])
    size = given if max(given) <= side else fitted_size(given, side)
    runs: list[dict[str, Any] | None] = [None] * len(predictions)
    for number, place in image.places.items():
        found = predictions[number].found[place]
        check_size(found, given, image.file)
        predictor = predictors[number]
        windows = windows_of(predictor, image.file, found) if predictor else None
        runs[number] = _of_run(predictions[number], place, size, windows)
    return {
        "name": Path(image.file).name,
        "size": size,
        "picture": data_uri(resize_picture(pixels, size)),
        "truth": _truth(image, predictions, size),
        "runs": runs,
    }


def data_uri(pixels: np.ndarray) -> str:
    """(H, W, 3) or (H, W) uint8 as a WebP image within a text."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _of_run(
    predictions: RunPredictions, place: int, size: Size, windows: list[Window] | None
) -> dict[str, Any]:
    found = predictions.found[place]
    return {
        "masks": [_counts(mask, found.size, size) for mask in found.masks],
        "areas": found.areas.tolist(),
        "scores": found.scores.round(4).tolist(),
        "steps": found.steps.tolist(),
        "classes": found.classes.tolist(),
        **_judged(predictions, place),
        **_looked(windows),
    }


def _judged(predictions: RunPredictions, place: int) -> dict[str, Any]:
    if not predictions.has_truth or "annotations" not in predictions.records[place]:
        return {"kinds": None, "iou": None, "partners": None, "found": None, "numbers": {}}
    evidence, diagnosis = predictions.evidence[place], predictions.diagnoses[place]
    return {
        "kinds": diagnosis.kinds.tolist(),
        "iou": evidence.iou.max(axis=1, initial=0.0).round(4).tolist(),
        "partners": partners(evidence.iou.T).tolist(),
        "found": diagnosis.found.tolist(),
        "numbers": {key: _or_null(v) for key, v in numbers_of(predictions, place).items()},
    }


def _looked(windows: list[Window] | None) -> dict[str, Any]:
    if windows is None:
        return {"windows": None, "heats": None}
    heats = {window.round: window.heat for window in windows}
    index = {number: k for k, number in enumerate(heats)}
    return {
        "windows": [[*np.round(w.box, 4).tolist(), index[w.round]] for w in windows],
        "heats": [
            data_uri(np.round(255 * heat.clip(0, 1)).astype(np.uint8)) for heat in heats.values()
        ],
    }


def _or_null(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value


def _grey(shares: np.ndarray) -> np.ndarray:
    return np.round(255 * shares.clip(0, 1)).astype(np.uint8)


def _truth(
    image: ImageOfRuns, predictions: Sequence[RunPredictions], size: Size
) -> dict[str, Any] | None:
    """The true objects, of the first run that knows them."""
    for number, place in image.places.items():
        record = predictions[number].records[place] if predictions[number].has_truth else {}
        if "annotations" in record:
            true, given = true_masks(record), (record["height"], record["width"])
            objects = [m for m, crowd in zip(true.rles, true.crowd, strict=True) if not crowd]
            masks = [_counts(mask, given, size) for mask in objects]
            return {"masks": masks, "areas": rle.areas(objects).tolist()}
    return None


def _counts(mask: rle.RLE, given: Size, size: Size) -> str:
    """A mask of an image at the size of its picture."""
    if given == size:
        return str(rle.checked(mask, "a mask")["counts"])
    return str(rle.encode(fit_masks(rle.decode(mask)[None], given, size)[0])["counts"])


def size_limits(images: Sequence[dict[str, Any]]) -> list[float]:
    """Areas in pixels of the image that part the objects into thirds: small, medium, large.

    They are those of the true objects, or of the found ones where no truth is known.
    """
    true = [a for image in images if image["truth"] for a in image["truth"]["areas"]]
    found = [a for image in images for run in image["runs"] if run for a in run["areas"]]
    areas = true or found
    return np.quantile(areas, [1 / 3, 2 / 3]).round().tolist() if areas else []
