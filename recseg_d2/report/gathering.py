"""Which images the page shows, and where each run has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recseg_d2.analysis.predictions import RunPredictions
from recseg_d2.data.io.image_files import is_image_name
from recseg_d2.errors import UserError
from recseg_d2.metrics import Metric
from recseg_d2.report.options import ReportOptions


@dataclass
class ImageOfRuns:
    """An image, and where the predictions of each run on it are.

    Attributes:
        file: its path or URI, as its data set has it.
        places: by the number of a run, the place of the image in ``RunPredictions.found``.
    """

    file: str
    places: dict[int, int] = field(default_factory=dict)


def gather(predictions: Sequence[RunPredictions], options: ReportOptions) -> list[ImageOfRuns]:
    """Every image that a run has predictions of, in the order of the runs; each file once.

    Raises:
        UserError: an image's file is not found.
    """
    named = {path.stem: path for name in options.input for path in _files(Path(name))}
    images: dict[str, ImageOfRuns] = {}
    for number, of_run in enumerate(predictions):
        records = of_run.records if of_run.has_truth else [None] * len(of_run.found)
        listed = of_run.results.images.values()
        for place, (record, image) in enumerate(zip(records, listed, strict=True)):
            file = record["file_name"] if record else _find(image, named, of_run.label)
            images.setdefault(str(file), ImageOfRuns(str(file))).places[number] = place
    return list(images.values())


def numbers_of(predictions: RunPredictions, place: int) -> dict[str, float]:
    """The scores of an image by the metric's key; none without ground truth."""
    if not predictions.has_truth:
        return {}
    return predictions.scores.of_image(str(list(predictions.results.images)[place]))


def choose(
    images: Sequence[ImageOfRuns], predictions: Sequence[RunPredictions], most: int
) -> list[ImageOfRuns]:
    """At most so many images, in their order: the worst and the best of the first run.

    They are ranked by the first metric; images that do not define it come after all others.
    """
    if len(images) <= most:
        return list(images)
    ranked = sorted(range(len(images)), key=lambda k: _badness(images[k], predictions))
    best = most // 2
    kept = {*ranked[:best], *ranked[len(ranked) - (most - best) :]}
    return [image for k, image in enumerate(images) if k in kept]


def badness(metric: Metric, value: float) -> float:
    """What grows from the best to the worst value of a metric."""
    if metric.higher_is_better is None:
        return abs(value)
    return -value if metric.higher_is_better else value


def _badness(image: ImageOfRuns, predictions: Sequence[RunPredictions]) -> float:
    run, place = next(iter(image.places.items()))
    if not predictions[run].has_truth:
        return math.inf
    metric = predictions[run].scores.metrics[0]
    value = badness(metric, numbers_of(predictions[run], place)[metric.key])
    return math.inf if math.isnan(value) else value


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.iterdir() if is_image_name(p))
    if not path.is_file():
        raise UserError(f"--input: there is no file or folder {path}.")
    return [path]


def _find(image: dict[str, Any], named: dict[str, Path], label: str) -> str:
    name = Path(str(image.get("file_name", image["id"])))
    found = named.get(name.stem, name)
    if not found.is_file():
        raise UserError(
            f"{label}: there is no file {name}, of which predictions are there; name the images' "
            "folder by --input, or their data set by --val-data or --dataset."
        )
    return str(found)
