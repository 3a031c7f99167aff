"""Rosettes as COCO distributes its data. May use: PIL, pycocotools, this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.layouts.rosettes import numbered
from recseg_d2.files import make_folder

_JPEG_QUALITY = 95


def write_coco(out: Path, part: str, seeds: list[int], size: int) -> None:
    """{train,val}2017/NNNNNNNNNNNN.jpg and annotations/instances_{train,val}2017.json."""
    folder = make_folder(out / f"{part}2017")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image, label_map in numbered(seeds, size):
        file_name = f"{number:012d}.jpg"
        Image.fromarray(image).save(folder / file_name, quality=_JPEG_QUALITY)
        images.append({"id": number, "file_name": file_name, "height": size, "width": size})
        for record in label_map_to_annotations(label_map):
            annotations.append(_coco_annotation(record, number, len(annotations) + 1))
    contents = {
        "info": {"description": "synthetic rosettes"},
        "licenses": [],
        "categories": [{"id": 1, "name": "leaf", "supercategory": "plant"}],
        "images": images,
        "annotations": annotations,
    }
    path = make_folder(out / "annotations") / f"instances_{part}2017.json"
    path.write_text(json.dumps(contents))


def _coco_annotation(record: dict[str, Any], image_id: int, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": record["bbox"],
        "area": int(coco_mask.area(record["segmentation"])),
        "segmentation": record["segmentation"],
        "iscrowd": 0,
    }
