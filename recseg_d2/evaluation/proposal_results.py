"""Average recall of proposals that any method has written, as COCO's results.

A file is a JSON list of {"image_id", "score", and "segmentation" (RLE) or "bbox" (x, y, width and
height in pixels)}; a folder has several such files. Proposals with a segmentation are compared as
masks, those without as boxes, with the tight boxes of the true masks.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recseg_d2 import rle
from recseg_d2.data.coco_results import IMAGES_ENDING
from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import GroundTruth, true_masks
from recseg_d2.files import read_json
from recseg_d2.metrics.average_recall import LIMITS, AverageRecall

logger = logging.getLogger(__name__)

_EXPECTED = "COCO's results: a JSON list with image_id, score, and segmentation or bbox"


def score_proposals(
    place: str | Path, dataset_name: str, limits: Sequence[int] = LIMITS
) -> AverageRecall:
    """Recall of the proposals in a file or folder, over all images of a data set.

    Images without a proposal count with none; proposals of other images are left out, and a log
    line says how many.

    Args:
        place: a file of COCO's results, or a folder of them.
        dataset_name: a name in ``DatasetCatalog``.
        limits: numbers N of proposals that recall is averaged for, increasing.

    Raises:
        UserError: there is no such file, it is not of that form, or has masks of other sizes than
            the images.
    """
    truth, found = GroundTruth(dataset_name), load_proposals(place)
    recall = AverageRecall(limits)
    for record in truth.records:
        entries = found.pop(str(record["image_id"]), [])
        entries.sort(key=lambda entry: -entry["score"])  # stable: of equal ones the first
        ious, crowd, areas = _overlaps(entries[: limits[-1]], record, place)
        recall.update(record["image_id"], ious, crowd, areas)
    if found:
        logger.warning(
            "%s: proposals of %d images that %s does not have are left out.",
            place, len(found), dataset_name,
        )  # fmt: skip
    return recall


def load_proposals(place: str | Path) -> dict[str, list[dict[str, Any]]]:
    """The entries of each image by its id as text, in the order of the files.

    Raises:
        UserError: see ``score_proposals``.
    """
    place = Path(place)
    paths = [place]
    if place.is_dir():
        paths = sorted(p for p in place.glob("*.json") if not p.name.endswith(IMAGES_ENDING))
        if not paths:
            raise UserError(f"{place}: has no .json file; expected {_EXPECTED}.")
    found: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        content = read_json(path, _EXPECTED)
        if not isinstance(content, list):
            raise UserError(f"{path}: found a {type(content).__name__}, expected {_EXPECTED}.")
        for number, entry in enumerate(content):
            _check(path, number, entry)
            found.setdefault(str(entry["image_id"]), []).append(entry)
    return found


def _check(path: Path, number: int, entry: Any) -> None:
    keys = entry.keys() if isinstance(entry, dict) else set()
    box = entry.get("bbox", ()) if keys else ()
    mask = entry.get("segmentation") if keys else None
    is_mask = isinstance(mask, dict) and {"size", "counts"} <= mask.keys()
    is_box = mask is None and isinstance(box, list) and len(box) == 4
    if not {"image_id", "score"} <= keys or not (is_mask or is_box):
        raise UserError(f"{path}: entry {number} is {str(entry)[:80]}; expected {_EXPECTED}.")


def _overlaps(
    entries: list[dict[str, Any]], record: dict[str, Any], place: str | Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """IoUs (P, N) with the objects of an image, which are crowds, and their areas."""
    true = true_masks(record)
    order = true.classes.argsort(kind="stable")  # in which COCOeval takes the objects
    pixels = rle.areas(true.rles).tolist()
    areas = [a.get("area", n) for a, n in zip(true.annotations, pixels, strict=True)]
    source = f"{place}: a mask of {record['image_id']}"
    masks = [rle.checked(e["segmentation"], source) for e in entries if "segmentation" in e]
    if masks and len(masks) < len(entries):
        raise UserError(f"{place}: has masks and boxes alone for {record['image_id']}.")
    size = [record["height"], record["width"]]
    if any(list(mask["size"]) != size for mask in masks):
        raise UserError(f"{place}: masks of {record['image_id']} are not of its size {size}.")
    if masks or not entries:
        ious = rle.overlaps(masks, true.rles, true.crowd)
    else:
        boxes = np.array([entry["bbox"] for entry in entries], dtype=np.float64)
        ious = box_overlaps(boxes, np.asarray(rle.boxes(true.rles), np.float64), true.crowd)
    return ious[:, order], true.crowd[order], np.array(areas, dtype=np.float64)[order]


def box_overlaps(ones: np.ndarray, others: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """IoU of boxes; with a crowd region, the share of the first box that lies in it.

    Args:
        ones: (P, 4) x, y, width, height.
        others: (N, 4), the same.
        crowd: (N,) bool.

    Returns:
        (P, N) in [0, 1]; 0 where a box is empty.
    """
    ones, others = ones.reshape(-1, 1, 4), others.reshape(1, -1, 4)
    low = np.maximum(ones[..., :2], others[..., :2])
    high = np.minimum(ones[..., :2] + ones[..., 2:], others[..., :2] + others[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    area, other = ones[..., 2:].prod(-1), others[..., 2:].prod(-1)
    whole = np.where(crowd, area, area + other - shared)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
