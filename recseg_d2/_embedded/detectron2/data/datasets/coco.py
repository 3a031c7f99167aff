"""COCO's instance annotations, to and from standard dicts."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
from iopath.common.file_io import file_lock
from pycocotools.coco import COCO

from detectron2.structures import BoxMode, PolygonMasks
from detectron2.utils.file_io import PathManager

from ..catalog import DatasetCatalog, MetadataCatalog

__all__ = ["convert_to_coco_json", "load_coco_json", "register_coco_instances"]

logger = logging.getLogger(__name__)

_LEAST_POLYGON = 6  # x and y of three points


def register_coco_instances(
    name: str, metadata: dict[str, Any], json_file: str | os.PathLike, image_root: str | os.PathLike
) -> None:
    """Register a data set that is a COCO json file and a folder of images."""
    DatasetCatalog.register(name, lambda: load_coco_json(json_file, image_root, name))
    MetadataCatalog.get(name).set(
        json_file=json_file, image_root=image_root, evaluator_type="coco", **metadata
    )


def load_coco_json(
    json_file: str | os.PathLike,
    image_root: str | os.PathLike,
    dataset_name: str | None = None,
) -> list[dict[str, Any]]:
    """Standard dicts of a COCO instance annotation file, in the order of the image ids.

    With ``dataset_name``, category ids become 0, 1, ... in the order of the file's ids, and the
    data set's metadata gets "thing_classes" and "thing_dataset_id_to_contiguous_id".

    Raises:
        KeyError: an annotation's category is not in the file.
        ValueError: an annotation's box is empty.
    """
    coco = open_coco(json_file)
    unique = len(coco.anns) == len(coco.dataset.get("annotations", ()))
    assert unique, f"Annotation ids in '{json_file}' are not unique!"
    id_map = None if dataset_name is None else _read_categories(coco, dataset_name)
    records = []
    for image_id in sorted(coco.imgs):
        image = coco.imgs[image_id]
        record = {"file_name": os.path.join(image_root, image["file_name"]), "image_id": image_id}
        record.update(height=image["height"], width=image["width"])
        objects = [_read_annotation(a, id_map, json_file) for a in coco.imgToAnns[image_id]]
        record["annotations"] = [o for o in objects if o is not None]
        records.append(record)
    logger.info("Loaded %d images in COCO format from %s", len(records), json_file)
    return records


def open_coco(json_file: str | os.PathLike) -> COCO:
    """The file as pycocotools has it, which prints nothing here."""
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(PathManager.get_local_path(os.fspath(json_file)))


def _read_categories(coco: COCO, dataset_name: str) -> dict[int, int]:
    """File's category id -> 0, 1, ...; writes it, and the names, to the metadata."""
    ids = sorted(coco.getCatIds())
    id_map = {category: index for index, category in enumerate(ids)}
    MetadataCatalog.get(dataset_name).set(
        thing_classes=[category["name"] for category in coco.loadCats(ids)],
        thing_dataset_id_to_contiguous_id=id_map,
    )
    return id_map


def _read_annotation(
    annotation: dict, id_map: dict[int, int] | None, json_file: Any
) -> dict[str, Any] | None:
    """Standard form of an annotation; None, and a warning, if none of its polygons is valid."""
    found = {k: annotation[k] for k in ("iscrowd", "bbox", "category_id") if k in annotation}
    where = f"{json_file}: annotation {annotation['id']} of image {annotation['image_id']}"
    if "bbox" in found and not found["bbox"]:
        raise ValueError(f"{where} contains an empty 'bbox': expected [x, y, width, height].")
    segmentation = annotation.get("segmentation")
    if segmentation:
        found["segmentation"] = _read_segmentation(segmentation)
        if not found["segmentation"]:
            logger.warning("%s has no valid segmentation: left out.", where)
            return None
    found["bbox_mode"] = BoxMode.XYWH_ABS
    if id_map is not None:
        if found["category_id"] not in id_map:
            known = sorted(id_map)
            raise KeyError(f"{where} has category_id={found['category_id']}: there is {known}.")
        found["category_id"] = id_map[found["category_id"]]
    return found


def _read_segmentation(segmentation: dict | list) -> dict | list:
    if isinstance(segmentation, list):
        return [p for p in segmentation if len(p) % 2 == 0 and len(p) >= _LEAST_POLYGON]
    if isinstance(segmentation["counts"], list):  # not compressed
        return mask_util.frPyObjects(segmentation, *segmentation["size"])
    return segmentation


def convert_to_coco_json(dataset_name: str, output_file: str, allow_cached: bool = True) -> None:
    """Write a registered data set, whose metadata has "thing_classes", as a COCO json file.

    With ``allow_cached``, a file that is there already will do.
    """
    PathManager.mkdirs(os.path.dirname(output_file))
    with file_lock(output_file):
        if PathManager.exists(output_file) and allow_cached:
            logger.warning("%s is there already: remove it if the dataset changed.", output_file)
            return
        content = convert_to_coco_dict(dataset_name)
        with PathManager.open(output_file + ".tmp", "w") as file:
            json.dump(content, file)
        os.replace(output_file + ".tmp", output_file)  # whole or not at all


def convert_to_coco_dict(dataset_name: str) -> dict[str, Any]:
    """The content of a COCO json file for a registered data set."""
    metadata = MetadataCatalog.get(dataset_name)
    mapping = metadata.get("thing_dataset_id_to_contiguous_id", {})
    file_ids = {contiguous: file_id for file_id, contiguous in mapping.items()}
    images: list[dict] = []
    annotations: list[dict] = []
    for index, record in enumerate(DatasetCatalog.get(dataset_name)):
        image_id = record.get("image_id", index)
        size = {"width": int(record["width"]), "height": int(record["height"])}
        images.append({"id": image_id, **size, "file_name": str(record["file_name"])})
        for annotation in record.get("annotations", ()):
            coco = _to_coco_annotation(annotation, file_ids)
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **coco})
    classes = enumerate(metadata.thing_classes)
    categories = [{"id": file_ids.get(index, index), "name": name} for index, name in classes]
    content: dict[str, Any] = {"info": {}, "images": images, "categories": categories}
    return {**content, "annotations": annotations} if annotations else content


def _to_coco_annotation(annotation: dict[str, Any], file_ids: dict[int, int]) -> dict[str, Any]:
    box = np.asarray(annotation["bbox"], dtype=float).tolist()
    box = BoxMode.convert(box, annotation["bbox_mode"], BoxMode.XYWH_ABS)
    category = int(annotation["category_id"])
    coco = {
        "bbox": [round(x, 3) for x in box],
        "area": box[2] * box[3],
        "iscrowd": int(annotation.get("iscrowd", 0)),
        "category_id": file_ids.get(category, category),
    }
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list):
        coco["area"] = PolygonMasks([segmentation]).area()[0].item()
        coco["segmentation"] = [np.asarray(polygon).tolist() for polygon in segmentation]
    elif segmentation is not None:
        coco["area"] = float(mask_util.area(segmentation))
        counts = segmentation["counts"]
        text = counts.decode("ascii") if isinstance(counts, bytes) else counts
        coco["segmentation"] = {"size": list(segmentation["size"]), "counts": text}
    return coco
