"""Rosettes as COCO distributes its data, and what writes such files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.layouts.rosettes import numbered
from recseg_d2.files import make_folder

_JPEG_QUALITY = 95


class CocoWriter:
    """Writes <out>/<part>/*.jpg, and at last <out>/annotations/instances_<part>.json.

    Args:
        out: the data set's folder.
        part: such as "train2017".
        categories: dicts with "id" and "name".
    """

    def __init__(self, out: Path, part: str, categories: list[dict[str, Any]]) -> None:
        self._folder, self._json = make_folder(out / part), f"instances_{part}.json"
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
        Image.fromarray(image).save(self._folder / file_name, quality=_JPEG_QUALITY)
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
            category_id: one of the categories'.
            record: a standard annotation whose segmentation is a compressed RLE.
            segmentation: another form of the same mask to be written; None writes the RLE.
        """
        self._contents["annotations"].append(
            {
                "id": len(self._contents["annotations"]) + 1,
                "image_id": number,
                "category_id": category_id,
                "bbox": record["bbox"],
                "area": int(coco_mask.area(record["segmentation"])),
                "segmentation": record["segmentation"] if segmentation is None else segmentation,
                "iscrowd": record["iscrowd"],
            }
        )

    def write(self) -> None:
        """Write the annotations."""
        (self._annotations / self._json).write_text(json.dumps(self._contents))


def write_coco(out: Path, part: str, seeds: list[int], size: int) -> None:
    """{train,val}2017/NNNNNNNNNNNN.jpg and annotations/instances_{train,val}2017.json."""
    categories = [{"id": 1, "name": "leaf", "supercategory": "plant"}]
    writer = CocoWriter(out, f"{part}2017", categories)
    for number, image, label_map in numbered(seeds, size):
        writer.add_image(number, f"{number:012d}.jpg", image)
        for record in label_map_to_annotations(label_map):
            writer.add_object(number, 1, record)
    writer.write()
