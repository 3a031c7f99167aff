"""Scores of a classical baseline on a registered data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from recseg_d2.baselines.classical import METHODS
from recseg_d2.data.catalog import check_registered
from recseg_d2.data.io.images import read_bgr
from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.metrics import ImageScores


def segment_file(path: str | Path, method: str) -> np.ndarray:
    """The label map that a method of ``METHODS`` makes of an image file.

    Raises:
        UserError: the image cannot be read; or as the method.
    """
    return METHODS[method](read_bgr(path)[..., ::-1])


def score_baseline(dataset_name: str, method: str) -> ImageScores:
    """Segment every image of a registered data set and score it at its native size.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        method: a name in ``classical.METHODS``.

    Raises:
        UserError: there is no such data set or method, or the data set has no image.
    """
    if method not in METHODS:
        raise UserError(f"method: found {method!r}, expected one of {', '.join(METHODS)}.")
    check_registered(dataset_name, "data set")
    truth = GroundTruth(dataset_name)
    scores = ImageScores()
    for record in tqdm(truth.records, desc=f"{method} on {dataset_name}", disable=None):
        image_id = record["image_id"]
        found = segment_file(record["file_name"], method)
        scores.update(truth.key(image_id), *truth.compared(image_id, found))
    return scores
