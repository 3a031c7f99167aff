"""Scores of a folder of predicted label maps.

A folder holds one label map an image. File names pair by stem, with or without the ending
``_label`` on either side. Where a folder has ``X_label``, other files of the same image (``X``,
``X_rgb``, ``X_fg``, as in the CVPPP folders) are no label maps and are passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from recseg_d2.data.label_io import LABEL_EXTENSIONS, read_label_map
from recseg_d2.errors import UserError
from recseg_d2.metrics.registry import DEFAULT_METRICS
from recseg_d2.metrics.scores import ImageScores

LABEL_SUFFIX = "_label"
_NAMES_SHOWN = 5  # in messages about many files

logger = logging.getLogger(__name__)


def score_folders(
    prediction_dir: str | Path,
    truth_dir: str | Path,
    metrics: Iterable[str] = DEFAULT_METRICS,
    allow_extra: bool = False,
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

    Returns:
        The scores, by the stem of the ground-truth file.

    Raises:
        UserError: a folder is missing or has no label map, two files of a folder belong to the same
            image, a file cannot be read, or a prediction has no ground truth.
    """
    scores = ImageScores(metrics)
    truths, predictions = find_label_maps(truth_dir), find_label_maps(prediction_dir)
    if not truths:
        raise UserError(
            f"{truth_dir}: found no label map, expected files ending in "
            f"{', '.join(LABEL_EXTENSIONS)}."
        )
    _check_extra(sorted(predictions.keys() - truths.keys()), predictions, truth_dir, allow_extra)
    for image, path in truths.items():
        truth = read_label_map(path)
        scores.update(path.stem, _prediction_for(path, predictions.get(image), truth.shape), truth)
    return scores


def find_label_maps(folder: str | Path) -> dict[str, Path]:
    """Label maps of a folder by image name (the stem without ``_label``), sorted by name.

    Raises:
        UserError: there is no such folder, or two files belong to the same image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder, expected one with label maps.")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in LABEL_EXTENSIONS)
    marked = {_image_name(p) for p in files if p.stem.endswith(LABEL_SUFFIX)}
    found: dict[str, Path] = {}
    for path in files:
        image = _image_name(path)
        if not path.stem.endswith(LABEL_SUFFIX) and _is_companion(path.stem, marked):
            continue
        if image in found:
            raise UserError(
                f"{folder}: found both {found[image].name} and {path.name} for image {image!r}, "
                "expected one label map; remove one of them."
            )
        found[image] = path
    return found


def _image_name(path: Path) -> str:
    return path.stem.removesuffix(LABEL_SUFFIX)


def _is_companion(stem: str, marked: set[str]) -> bool:
    """Whether an unmarked file belongs to an image of which there is a marked label map."""
    return stem in marked or stem.rpartition("_")[0] in marked


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


def _prediction_for(truth_path: Path, path: Path | None, size: tuple[int, ...]) -> np.ndarray:
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
        height, width = size
        image = Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST)
        labels = np.asarray(image)
    return labels
