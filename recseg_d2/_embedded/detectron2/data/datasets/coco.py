"""COCO's instance annotations, to and from standard dicts.

May use: pycocotools, iopath, detectron2.structures.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import logging
import os
import shutil
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
from iopath.common.file_io import file_lock
from pycocotools.coco import COCO

from detectron2.structures import BoxMode, PolygonMasks
from detectron2.utils.file_io import PathManager

from ..catalog import DatasetCatalog, Metadata, MetadataCatalog

__all__ = ["convert_to_coco_json", "load_coco_json", "register_coco_instances"]

logger = logging.getLogger(__name__)

_LEAST_POLYGON = 6  # x and y of three points


def register_coco_instances(
    name: str, metadata: dict[str, Any], json_file: str | os.PathLike, image_root: str | os.PathLike
) -> None:
    """Register a data set that is a COCO json file and a folder of images."""
    assert isinstance(name, str), f"Expected a name, got {name!r}."
    assert isinstance(json_file, str | os.PathLike), f"Expected a path, got {json_file!r}."
    assert isinstance(image_root, str | os.PathLike), f"Expected a path, got {image_root!r}."
    if name not in DatasetCatalog:
        DatasetCatalog.register(name, lambda: load_coco_json(json_file, image_root, name))
    MetadataCatalog.get(name).set(
        json_file=json_file, image_root=image_root, evaluator_type="coco", **metadata
    )


def load_coco_json(
    json_file: str | os.PathLike,
    image_root: str | os.PathLike,
    dataset_name: str | None = None,
    extra_annotation_keys: list[str] | None = None,
) -> list[dict[str, Any]]:
    """Read a COCO instance annotation file.

    Args:
        json_file: the file.
        image_root: folder of the images.
        dataset_name: if given, category ids become 0, 1, ... in the order of the file's ids, and
            the data set's metadata gets "thing_classes" and "thing_dataset_id_to_contiguous_id".
        extra_annotation_keys: keys of annotations to keep as they are.

    Returns:
        Standard dicts, in the order of the image ids. Images are not read.

    Raises:
        KeyError: an annotation's category is not in the file.
        ValueError: an annotation's box is empty.
    """
    coco = _open_coco(json_file)
    annotation_ids = [a["id"] for image in coco.imgs for a in coco.imgToAnns[image]]
    unique = len(set(annotation_ids)) == len(annotation_ids)
    assert unique, f"Annotation ids in '{json_file}' are not unique!"
    id_map = None if dataset_name is None else _read_categories(coco, dataset_name)
    keys = ("iscrowd", "bbox", "category_id", *(extra_annotation_keys or ()))
    records, dropped = [], 0
    for image_id in sorted(coco.imgs):
        image, annotations = coco.imgs[image_id], coco.imgToAnns[image_id]
        objects = [_read_annotation(a, keys, id_map, json_file) for a in annotations]
        dropped += objects.count(None)
        record = {"file_name": os.path.join(image_root, image["file_name"]), "image_id": image_id}
        record.update(height=image["height"], width=image["width"])
        record["annotations"] = [o for o in objects if o is not None]
        records.append(record)
    logger.info("Loaded %d images in COCO format from %s", len(records), json_file)
    if dropped:
        logger.warning("Filtered out %d instances without valid segmentation.", dropped)
    return records


def _open_coco(json_file: str | os.PathLike) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(PathManager.get_local_path(os.fspath(json_file)))


def _read_categories(coco: COCO, dataset_name: str) -> dict[int, int]:
    """File's category id -> 0, 1, ...; writes it, and the names, to the metadata."""
    ids = sorted(coco.getCatIds())
    if ids != list(range(1, len(ids) + 1)):
        logger.warning(
            "Category ids of %s are not 1 to %d: they are mapped in order.", dataset_name, len(ids)
        )
    id_map = {category: index for index, category in enumerate(ids)}
    MetadataCatalog.get(dataset_name).set(
        thing_classes=[category["name"] for category in coco.loadCats(ids)],
        thing_dataset_id_to_contiguous_id=id_map,
    )
    return id_map


def _read_annotation(
    annotation: dict, keys: tuple[str, ...], id_map: dict[int, int] | None, json_file: Any
) -> dict[str, Any] | None:
    """Standard form of an annotation; None if it has polygons, but not a valid one."""
    assert not annotation.get("ignore", 0), '"ignore" in COCO json file is not supported.'
    found = {key: annotation[key] for key in keys if key in annotation}
    where = f"{json_file}: annotation {annotation['id']} of image {annotation['image_id']}"
    if "bbox" in found and not found["bbox"]:
        raise ValueError(f"{where} contains an empty 'bbox': expected [x, y, width, height].")
    segmentation = annotation.get("segmentation")
    if segmentation:
        found["segmentation"] = _read_segmentation(segmentation)
        if not found["segmentation"]:
            return None
    found["bbox_mode"] = BoxMode.XYWH_ABS
    if id_map is not None:
        if found["category_id"] not in id_map:
            raise KeyError(
                f"{where} has category_id={found['category_id']}, which does not exist in "
                f"'categories' ({sorted(id_map)})."
            )
        found["category_id"] = id_map[found["category_id"]]
    return found


def _read_segmentation(segmentation: dict | list) -> dict | list:
    if isinstance(segmentation, list):
        return [p for p in segmentation if len(p) % 2 == 0 and len(p) >= _LEAST_POLYGON]
    if isinstance(segmentation["counts"], list):  # not compressed
        return mask_util.frPyObjects(segmentation, *segmentation["size"])
    return segmentation


def convert_to_coco_json(dataset_name: str, output_file: str, allow_cached: bool = True) -> None:
    """Write a registered data set as a COCO json file, for pycocotools.

    Args:
        dataset_name: name in the ``DatasetCatalog``; its metadata needs "thing_classes".
        output_file: where to.
        allow_cached: whether a file that is there already will do.
    """
    PathManager.mkdirs(os.path.dirname(output_file))
    with file_lock(output_file):
        if PathManager.exists(output_file) and allow_cached:
            logger.warning(
                "Using previously cached COCO format annotations at '%s'. Remove the file if the "
                "dataset has been modified.",
                output_file,
            )
            return
        logger.info("Converting annotations of dataset '%s' to COCO format ...", dataset_name)
        content = convert_to_coco_dict(dataset_name)
        with PathManager.open(output_file + ".tmp", "w") as file:
            json.dump(content, file)
        shutil.move(output_file + ".tmp", output_file)  # whole or not at all


def convert_to_coco_dict(dataset_name: str) -> dict[str, Any]:
    """The content of a COCO json file for a registered data set."""
    records, metadata = DatasetCatalog.get(dataset_name), MetadataCatalog.get(dataset_name)
    id_map = _contiguous_to_file_id(metadata)
    images: list[dict] = []
    annotations: list[dict] = []
    for index, record in enumerate(records):
        image_id = record.get("image_id", index)
        size = {"width": int(record["width"]), "height": int(record["height"])}
        images.append({"id": image_id, **size, "file_name": str(record["file_name"])})
        for annotation in record.get("annotations", ()):
            coco = _to_coco_annotation(annotation, id_map)
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **coco})
    logger.info("Converted %d images with %d annotations.", len(images), len(annotations))
    content: dict[str, Any] = {
        "info": {
            "date_created": str(datetime.datetime.now()),
            "description": "Automatically generated COCO json file for Detectron2.",
        },
        "images": images,
        "categories": [
            {"id": id_map.get(i, i), "name": name} for i, name in enumerate(metadata.thing_classes)
        ],
        "licenses": None,
    }
    if annotations:
        content["annotations"] = annotations
    return content


def _contiguous_to_file_id(metadata: Metadata) -> dict[int, int]:
    mapping = metadata.get("thing_dataset_id_to_contiguous_id", {})
    return {contiguous: file_id for file_id, contiguous in mapping.items()}


def _to_coco_annotation(annotation: dict[str, Any], id_map: dict[int, int]) -> dict[str, Any]:
    box = np.asarray(annotation["bbox"], dtype=float).tolist()
    box = BoxMode.convert(box, annotation["bbox_mode"], BoxMode.XYWH_ABS)
    category = int(annotation["category_id"])
    coco = {
        "bbox": [round(float(x), 3) for x in box],
        "area": float(box[2] * box[3]),
        "iscrowd": int(annotation.get("iscrowd", 0)),
        "category_id": id_map.get(category, category),
    }
    if "segmentation" in annotation:
        coco.update(_to_coco_segmentation(annotation["segmentation"]))
    return coco


def _to_coco_segmentation(segmentation: list | dict) -> dict[str, Any]:
    """The segmentation as json can hold it, and its area in pixels."""
    if isinstance(segmentation, list):
        area = PolygonMasks([segmentation]).area()[0].item()
        return {"area": area, "segmentation": [np.asarray(p).tolist() for p in segmentation]}
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        text = counts.decode("ascii") if isinstance(counts, bytes) else counts
        size = [int(side) for side in segmentation["size"]]
        area = float(mask_util.area({"size": size, "counts": text}))
        return {"area": area, "segmentation": {"size": size, "counts": text}}
    raise TypeError(f"Unknown segmentation type {type(segmentation).__name__}!")
