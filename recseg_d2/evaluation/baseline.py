"""Scores of a classical baseline on a registered data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from detectron2.data import DatasetCatalog
from tqdm import tqdm

from recseg_d2.baselines.classical import METHODS
from recseg_d2.data.image_io import read_bgr
from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.metrics import ImageScores


def read_rgb(path: str | Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB image; see ``data.image_io.read_bgr`` for what it refuses."""
    return read_bgr(path)[..., ::-1]


def method_by_name(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from an RGB image (H, W, 3) uint8 to a label map.

    Raises:
        UserError: there is no such method.
    """
    if name not in METHODS:
        raise UserError(f"method: found {name!r}, expected one of {', '.join(METHODS)}.")
    return METHODS[name]


def score_baseline(dataset_name: str, method: str) -> ImageScores:
    """Segment every image of a registered data set and score it at its native size.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        method: a name in ``classical.METHODS``.

    Raises:
        UserError: there is no such data set or method, or the data set has no image.
    """
    segment = method_by_name(method)
    if dataset_name not in DatasetCatalog.list():
        raise UserError(
            f"data set: found {dataset_name!r}, expected a registered one: "
            f"{', '.join(sorted(DatasetCatalog.list()))}."
        )
    truth = GroundTruth(dataset_name)
    scores = ImageScores()
    for record in tqdm(truth.records, desc=f"{method} on {dataset_name}", disable=None):
        prediction = segment(read_rgb(record["file_name"]))
        image_id = record["image_id"]
        scores.update(truth.key(image_id), prediction, truth.label_map(image_id))
    return scores


def evaluate_baseline(dataset_name: str, method: str) -> dict[str, float]:
    """Mean scores of a baseline on a registered data set, see ``score_baseline``.

    Returns:
        {"SBD": .., "DiC": .., "absDiC": .., "FGBGDice": ..}, dice in 0..100.
    """
    return score_baseline(dataset_name, method).mean()
