"""Mask proposals beside the standard dicts, for models that classify them.

``DATASETS.PROPOSAL_FILES_TRAIN`` and ``_TEST`` name a proposal file for each data set, in the same
order; of an image the best ``DATASETS.PRECOMPUTED_PROPOSAL_TOPK_TRAIN`` or ``_TEST`` are used. A
standard dict carries them as "proposals", a list of entries (see ``coco_results``); a model gets
``Instances`` of the fields that InstanceFCNProposal returns them in:

    pred_masks          (R, H, W) bool
    proposal_boxes      ``Boxes``, tight around the masks
    objectness_logits   (R,) float

In training they move with the image. At test they stay as they are in the file, at the image's own
size, so that instances made of them lose nothing; whoever reads them scales boxes to the image.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances
from fvcore.transforms.transform import Transform

from recseg_d2 import rle
from recseg_d2.data.coco_results import Entry, ImageId, load_results
from recseg_d2.errors import UserError
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.layers.images import scale_labels

logger = logging.getLogger(__name__)

TRAIN, TEST = "TRAIN", "TEST"
_FILES = {TRAIN: "PROPOSAL_FILES_TRAIN", TEST: "PROPOSAL_FILES_TEST"}
_TOPKS = {TRAIN: "PRECOMPUTED_PROPOSAL_TOPK_TRAIN", TEST: "PRECOMPUTED_PROPOSAL_TOPK_TEST"}
_CERTAIN = 1e-6  # scores of 0 and 1 become finite logits
_CACHED_FILES = 2  # one to train on and one to test on


def has_proposals(cfg: CfgNode, split: str) -> bool:
    """Whether the config names proposal files for ``TRAIN`` or ``TEST``.

    Raises:
        UserError: there are not as many as data sets.
    """
    files, names = getattr(cfg.DATASETS, _FILES[split]), cfg.DATASETS[split]
    if files and len(files) != len(names):
        raise UserError(
            f"DATASETS.{_FILES[split]} names {len(files)} files; expected one for each of "
            f"the {len(names)} data sets of DATASETS.{split}, in the same order."
        )
    return bool(files)


def add_proposals(
    cfg: CfgNode, dicts: list[dict[str, Any]], dataset_name: str, split: str
) -> list[dict[str, Any]]:
    """Standard dicts with "proposals", where the config names a file for their data set.

    Args:
        cfg: a config, whose DATASETS.PROPOSAL_FILES_* name the files.
        dicts: Detectron2's standard dicts of one data set; they are not changed.
        dataset_name: one of the names in ``DATASETS.TRAIN`` or ``TEST``.
        split: which of the two lists of data sets the name stands in, ``TRAIN`` or ``TEST``.

    Raises:
        UserError: the file cannot be used, or it has no proposal for any of the images.
    """
    if not has_proposals(cfg, split):
        return dicts
    number = list(cfg.DATASETS[split]).index(dataset_name)
    path = getattr(cfg.DATASETS, _FILES[split])[number]
    most = getattr(cfg.DATASETS, _TOPKS[split])
    by_image = _load(path)
    without = sum(record["image_id"] not in by_image for record in dicts)
    if dicts and without == len(dicts):
        raise UserError(
            f"{path}: has no proposal for any image of {dataset_name}; its image ids are "
            f"{', '.join(repr(i) for i in list(by_image)[:3])} ..., those of the data set "
            f"{', '.join(repr(r['image_id']) for r in dicts[:3])} ...: name the file of this data "
            "set."
        )
    if without:
        logger.warning("%s: %d of %d images have no proposal.", path, without, len(dicts))
    return [{**r, "proposals": by_image.get(r["image_id"], [])[:most]} for r in dicts]


def decode_proposals(
    entries: list[dict[str, Any]], shape: tuple[int, int], source: str
) -> Instances:
    """Entries of a proposal file as ``Instances``, at the image's own size.

    Args:
        entries: entries of COCO's results, all of one image.
        shape: height and width of the image in pixels.
        source: name of the file that they are of, for the error message.

    Raises:
        UserError: a mask has another size than the image.
    """
    masks = np.zeros((len(entries), *shape), bool)
    for n, entry in enumerate(entries):
        mask = rle.decode(entry["segmentation"])
        if mask.shape != shape:
            raise UserError(
                f"{source}: found a proposal of {mask.shape[1]}x{mask.shape[0]} pixels, expected "
                f"the image's {shape[1]}x{shape[0]}; make proposals on the same images."
            )
        masks[n] = mask
    scores = torch.tensor([entry["score"] for entry in entries], dtype=torch.float32)
    return _instances(torch.from_numpy(masks), torch.logit(scores, eps=_CERTAIN))


def move_proposals(
    proposals: Instances, transforms: Transform, shape: tuple[int, int], scale: float = 1.0
) -> Instances:
    """Proposals after the transforms of their image; those that leave the frame are left out.

    Args:
        proposals: proposals with masks of the image's size before the transforms.
        transforms: what was done to the image.
        shape: height and width in pixels after the transforms.
        scale: factor that the image was magnified by before the transforms.
    """
    masks = scale_labels(proposals.pred_masks.numpy().astype(np.uint8), scale)
    moved = np.zeros((len(masks), *shape), bool)
    for n, mask in enumerate(masks):
        moved[n] = transforms.apply_segmentation(mask) > 0
    shown = moved.any(axis=(1, 2))
    tensor = torch.from_numpy(moved[shown])
    return _instances(tensor, proposals.objectness_logits[torch.from_numpy(shown)])


def _instances(masks: torch.Tensor, logits: torch.Tensor) -> Instances:
    return Instances(
        (masks.shape[1], masks.shape[2]),
        pred_masks=masks,
        proposal_boxes=Boxes(masks_to_boxes(masks)),
        objectness_logits=logits,
    )


def _load(path: str | Path) -> dict[ImageId, list[Entry]]:
    """The file's content; read again only when it has changed."""
    try:
        status = os.stat(path)
    except OSError:
        return _ranked(path)  # says what is wrong
    return _load_version(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=_CACHED_FILES)
def _load_version(path: str, modified: int, size: int) -> dict[ImageId, list[Entry]]:
    return _ranked(path)


def _ranked(path: str | Path) -> dict[ImageId, list[Entry]]:
    """By image, the highest score first, of equal ones the first; images without any left out."""
    by_image = load_results(path).entries
    return {k: sorted(e, key=lambda entry: -entry["score"]) for k, e in by_image.items() if e}
