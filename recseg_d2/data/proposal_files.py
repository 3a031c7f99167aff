"""Mask proposals as files: COCO's list of results.

A file is a JSON list with an entry a proposal:

    {"image_id": .., "category_id": 1, "bbox": [x, y, width, height], "segmentation": RLE,
     "score": ..}

``pycocotools``' ``loadRes`` takes it as it is, and so does every tool that reads COCO's results.
Boxes are tight, in pixels; RLE counts are text; scores are probabilities, the greater the better.

Shape letters: P proposals of an image, H W its pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from recseg_d2.errors import UserError
from recseg_d2.files import make_place

CATEGORY = 1  # of every proposal: they have no class, and COCO's ids count from 1
KEYS = ("image_id", "bbox", "segmentation", "score")
_MASKS_AT_A_TIME = 64  # pycocotools wants another memory order, hence a copy of each block


def encode_masks(masks: np.ndarray) -> list[dict[str, Any]]:
    """Compressed RLE, counts as text, of each mask.

    Args:
        masks: (P, H, W) bool or 0 and 1.
    """
    rles: list[dict[str, Any]] = []
    for first in range(0, len(masks), _MASKS_AT_A_TIME):
        block = masks[first : first + _MASKS_AT_A_TIME].transpose(1, 2, 0)
        for rle in coco_mask.encode(np.asfortranarray(block, dtype=np.uint8)):
            size = [int(side) for side in rle["size"]]
            rles.append({"size": size, "counts": rle["counts"].decode("ascii")})
    return rles


def proposals_to_results(
    image_id: str | int, masks: np.ndarray, scores: np.ndarray
) -> list[dict[str, Any]]:
    """Entries of a proposal file for one image, in the given order.

    Args:
        image_id: goes into each entry.
        masks: (P, H, W) bool.
        scores: (P,).
    """
    rles = encode_masks(masks)
    boxes = coco_mask.toBbox(rles).tolist() if rles else []
    return [
        {
            "image_id": image_id,
            "category_id": CATEGORY,
            "bbox": box,
            "segmentation": rle,
            "score": float(score),
        }
        for box, rle, score in zip(boxes, rles, scores, strict=True)
    ]


def save_proposals(path: str | Path, results: Iterable[dict[str, Any]]) -> None:
    """Write a proposal file; its folder is made.

    Args:
        path: of the file, which is replaced where there is one.
        results: entries of all images, as ``proposals_to_results`` gives them.

    Raises:
        UserError: the file cannot be written there.
    """
    path = make_place(path)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(list(results), file)


def load_proposals(path: str | Path) -> dict[str | int, list[dict[str, Any]]]:
    """Read a proposal file.

    Args:
        path: of a file that ``save_proposals`` wrote, or of COCO results with masks of any tool.

    Returns:
        for each ``image_id`` of the file its entries, the highest score first, and of equal scores
        the first in the file. An image without proposals is not there.

    Raises:
        UserError: there is no such file, it is no JSON list, or an entry lacks a key or a mask.
    """
    by_image: dict[str | int, list[dict[str, Any]]] = {}
    for number, entry in enumerate(_read_list(Path(path))):
        _check_entry(path, number, entry)
        by_image.setdefault(entry["image_id"], []).append(entry)
    for entries in by_image.values():
        entries.sort(key=lambda entry: -entry["score"])  # stable
    return by_image


def _read_list(path: Path) -> list[Any]:
    try:
        with open(path, encoding="utf-8") as file:
            entries = json.load(file)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); name a proposal file, such as the "
            "proposals_<data set>.json that an evaluation of InstanceFCNProposal writes."
        ) from error
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error}); write the proposals again.") from error
    if not isinstance(entries, list):
        raise UserError(
            f"{path}: found a JSON {type(entries).__name__}, expected a list of proposals in the "
            "form of COCO's results."
        )
    return entries


def _check_entry(path: str | Path, number: int, entry: Any) -> None:
    missing = [key for key in KEYS if not isinstance(entry, dict) or key not in entry]
    if missing:
        raise UserError(
            f"{path}: entry {number} has no {', '.join(missing)}; expected {', '.join(KEYS)}."
        )
    segmentation = entry["segmentation"]
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise UserError(
            f"{path}: the segmentation of entry {number} is no RLE (a dict of size and counts); "
            "encode masks with pycocotools.mask.encode."
        )
