"""Scores of a folder of predicted label maps.

A folder holds one label map an image. File names pair by stem, with or without the ending
``_label`` or the like on either side, see ``find_label_maps``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from recseg_d2.data.io.label_maps import (
    LABEL_EXTENSIONS,
    read_label_map,
    resize_label_map,
    where_value,
)
from recseg_d2.data.io.pairing import find_label_maps
from recseg_d2.data.label_signs import find_signs
from recseg_d2.errors import UserError
from recseg_d2.metrics import DEFAULT_METRICS, ImageScores

_NAMES_SHOWN = 5  # in messages about many files
_USUAL = 0.5  # share of the true label maps, above which they are said to look binary

logger = logging.getLogger(__name__)


def score_folders(
    prediction_dir: str | Path,
    truth_dir: str | Path,
    metrics: Iterable[str] = DEFAULT_METRICS,
    allow_extra: bool = False,
    ignore: Collection[int] = (),
) -> ImageScores:
    """Score every ground-truth label map against its prediction.

    A missing prediction counts as all background, one of another size is resized (nearest
    neighbour); both are logged as warnings that name the file, and both are the leaf challenge's
    rules.

    Args:
        prediction_dir: folder of predicted label maps.
        truth_dir: folder of true label maps.
        metrics: names in ``registry.METRICS``.
        allow_extra: pass over predictions without ground truth instead of refusing them.
        ignore: values of true label maps where nothing is scored: pixels there are background on
            both sides. Of colours they are 65536 R + 256 G + B.

    Returns:
        The scores, by the stem of the ground-truth file.

    Raises:
        UserError: a folder is missing or has no label map, two files of a folder belong to the same
            image, a file cannot be read, or a prediction has no ground truth.
    """
    scores = ImageScores(metrics)
    truths, predictions = find_label_maps(truth_dir), find_label_maps(prediction_dir)
    for folder, found in ((truth_dir, truths), (prediction_dir, predictions)):
        if not found:
            raise UserError(
                f"{folder}: found no label map, expected files ending in "
                f"{', '.join(LABEL_EXTENSIONS)}."
            )
    # most often a misspelt name, whose image would silently count as empty
    _check_extra(sorted(predictions.keys() - truths.keys()), predictions, truth_dir, allow_extra)
    binary = []
    for image, path in truths.items():
        truth = read_label_map(path, background=ignore)
        if find_signs(truth).regions:
            binary.append(path.name)
        predicted = _prediction_for(path, predictions.get(image), truth.shape)
        if ignore:
            predicted = np.where(where_value(path, ignore), 0, predicted)
        scores.update(path.stem, predicted, truth)
    if len(binary) > _USUAL * len(truths):
        logger.warning(
            "%s: %d of %d true label maps have one value on several regions, such as %s: binary "
            "masks? All of that value is scored as one object; give each object a value.",
            truth_dir, len(binary), len(truths), binary[0],
        )  # fmt: skip
    return scores


def _check_extra(
    extra: list[str], predictions: dict[str, Path], truth_dir: str | Path, allow_extra: bool
) -> None:
    if not extra:
        return
    names = ", ".join(predictions[image].name for image in extra[:_NAMES_SHOWN])
    names += ", ..." if len(extra) > _NAMES_SHOWN else ""
    found = f"found {len(extra)} prediction(s) without ground truth in {truth_dir}: {names}"
    if not allow_extra:
        raise UserError(f"{found}; remove or rename them, or pass --allow-extra to ignore them.")
    logger.warning("%s; ignored.", found)


def _prediction_for(truth_path: Path, path: Path | None, size: tuple[int, int]) -> np.ndarray:
    """The predicted label map at the ground truth's size."""
    if path is None:
        logger.warning("%s: no prediction, counted as all background.", truth_path.name)
        return np.zeros(size, dtype=np.int32)
    labels = read_label_map(path)
    if labels.shape != size:
        logger.warning(
            "%s: found size %s, expected %s as the ground truth; resized (nearest neighbour).",
            path, labels.shape, size,
        )  # fmt: skip
    return resize_label_map(labels, size)
