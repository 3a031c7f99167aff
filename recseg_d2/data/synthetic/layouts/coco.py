"""Rosettes as COCO distributes its data since 2017, and scenes as it did in 2014."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from recseg_d2 import rle
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.sources import coco_categories
from recseg_d2.data.synthetic.layouts.drawn import numbered_rosettes, numbered_scenes, write_image
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder, save_text

# A shape's class takes the part of one of COCO's categories.
ROLES = ("zebra", "person", "giraffe", "elephant", "horse", "umbrella")

_CROWD_EVERY = 4  # in every fourth image the first object is marked as a crowd
_FEWEST_POINTS = 3


class CocoWriter:
    """Writes <out>/<part>/*.jpg, and at last <out>/annotations/instances_<part>.json.

    Args:
        out: the data set's folder.
        part: name of the part of the data set, such as "train2017".
        categories: dicts with "id" and "name".
    """

    def __init__(self, out: Path, part: str, categories: list[dict[str, Any]]) -> None:
        self._folder, self._json = out / part, f"instances_{part}.json"
        self._annotations = make_folder(out / "annotations")
        self._contents: dict[str, Any] = {
            "info": {"description": "synthetic images"},
            "licenses": [],
            "categories": categories,
            "images": [],
            "annotations": [],
        }

    def add_image(self, number: int, file_name: str, image: np.ndarray) -> None:
        """Save an (H, W, 3) uint8 image under the id ``number``."""
        write_image(self._folder / file_name, image)
        height, width = image.shape[:2]
        self._contents["images"].append(
            {"id": number, "file_name": file_name, "height": height, "width": width}
        )

    def add_object(
        self, number: int, category_id: int, record: dict[str, Any], segmentation: Any = None
    ) -> None:
        """Add an object to the image ``number``.

        Args:
            number: the image's id.
            category_id: "id" of one of the categories.
            record: a standard annotation whose segmentation is a compressed RLE.
            segmentation: another form of the same mask to be written; None writes the RLE.
        """
        self._contents["annotations"].append(
            {
                "id": len(self._contents["annotations"]) + 1,
                "image_id": number,
                "category_id": category_id,
                "bbox": record["bbox"],
                "area": int(rle.areas([record["segmentation"]])[0]),
                "segmentation": record["segmentation"] if segmentation is None else segmentation,
                "iscrowd": record["iscrowd"],
            }
        )

    def write(self) -> None:
        """Write the annotations."""
        save_text(self._annotations / self._json, json.dumps(self._contents))


def write_coco(out: Path, part: str, seeds: list[int], size: int) -> None:
    """{train,val}2017/NNNNNNNNNNNN.jpg and annotations/instances_{train,val}2017.json."""
    categories = [{"id": 1, "name": "leaf", "supercategory": "plant"}]
    writer = CocoWriter(out, f"{part}2017", categories)
    for number, image, label_map in numbered_rosettes(seeds, size):
        writer.add_image(number, f"{number:012d}.jpg", image)
        for record in label_map_to_annotations(label_map):
            writer.add_object(number, 1, record)
    writer.write()


def write_coco_2014(out: Path, part: str, seeds: list[int], size: int) -> None:
    """{part}2014/COCO_{part}2014_NNNNNNNNNNNN.jpg and annotations/instances_{part}2014.json.

    With COCO's own categories and ids, polygons for objects, and uncompressed RLE for crowds.
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
            mask = record["segmentation"]
            counts = {**mask, "counts": rle.run_lengths(mask).tolist()}
            outline = counts if record["iscrowd"] else _polygons(rle.decode(mask))
            writer.add_object(scene.number, ids[ROLES[shape % len(ROLES)]], record, outline)
    writer.write()


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
