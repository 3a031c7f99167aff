"""Scenes as COCO distributed its data in 2014.

With COCO's own categories and ids, polygons for objects, and uncompressed RLE for crowds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from recseg_d2.data import coco_categories
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.layouts.coco import CocoWriter
from recseg_d2.data.layouts.scenes import numbered_scenes
from recseg_d2.errors import UserError

# A shape's class takes the part of one of COCO's categories.
ROLES = ("zebra", "person", "giraffe", "elephant", "horse", "umbrella")

_CROWD_EVERY = 4  # in every fourth image the first object is marked as a crowd
_FEWEST_POINTS = 3


def write_coco_2014(out: Path, part: str, seeds: list[int], size: int) -> None:
    """{part}2014/COCO_{part}2014_NNNNNNNNNNNN.jpg and annotations/instances_{part}2014.json.

    ``out`` is what ``$DETECTRON2_DATASETS/coco`` is to be.
    """
    ids = dict(zip(coco_categories.NAMES, coco_categories.IDS, strict=True))
    categories = [{"id": i, "name": name} for name, i in ids.items()]
    writer = CocoWriter(out, f"{part}2014", categories)
    for scene in numbered_scenes(seeds, size):
        name = f"COCO_{part}2014_{scene.number:012d}.jpg"
        writer.add_image(scene.number, name, scene.image)
        crowds = (1,) if scene.number % _CROWD_EVERY == 0 else ()
        records = label_map_to_annotations(scene.labels, crowds=crowds)
        for record, shape in zip(records, scene.classes, strict=True):
            mask = coco_mask.decode(record["segmentation"])
            outline = _counts(mask) if record["iscrowd"] else _polygons(mask)
            writer.add_object(scene.number, ids[ROLES[shape % len(ROLES)]], record, outline)
    writer.write()


def _counts(mask: np.ndarray) -> dict[str, Any]:
    """Uncompressed RLE: lengths of background, object, background, ... down the columns."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.r_[0, changes, flat.size]
    lengths = np.diff(edges if flat[0] == 0 else np.r_[0, edges])
    return {"size": list(mask.shape), "counts": lengths.tolist()}


def _polygons(mask: np.ndarray) -> list[list[float]]:
    """[x0, y0, x1, y1, ...] of each outline, x and y of pixel centres + 0.5 as COCO counts them."""
    try:
        from skimage.measure import find_contours
    except ImportError as error:
        raise UserError(
            "layout coco_2014 needs scikit-image; run `pip install recseg_d2[baseline]`."
        ) from error
    outlines = find_contours(np.pad(mask, 1).astype(float), 0.5)  # padded: closed at the border
    points = [np.round(outline[:-1, ::-1] - 0.5, 2) for outline in outlines]
    return [p.ravel().tolist() for p in points if len(p) >= _FEWEST_POINTS]
