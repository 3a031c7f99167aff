"""Predicted masks as files: COCO's list of results, and COCO's list of images beside it.

    NAME.json          [{"image_id": .., "category_id": .., "bbox": [x, y, width, height],
                         "segmentation": RLE, "score": .., "step": ..}, ...]
    NAME_images.json   {"info": {"dataset": name},
                        "images": [{"id": .., "file_name": .., "height": .., "width": ..}, ...],
                        "categories": [{"id": .., "name": ..}, ...]}

``recseg predict``, evaluations and makers of proposals write both, ``recseg analyze`` and
classifiers of proposals read them. The first is what COCO's tools take (``pycocotools``'
``loadRes``), with one field more, "step": the order of discovery from 0, which models that find all
objects at once do not have. The second has every image that was looked at, those without an object
too; results of other tools are read without it.

Boxes are tight, in pixels; RLE counts are text; scores are probabilities, the greater the better.
"category_id" is the data set's own id of the class where its metadata have one
("thing_dataset_id_to_contiguous_id"), else the number of the class from 0. Proposals have no class
and are of ``PROPOSAL_CATEGORY``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog

from recseg_d2 import rle
from recseg_d2.errors import UserError
from recseg_d2.files import make_place, read_json, save_text
from recseg_d2.postprocess import masks_of

ImageId = str | int
Entry = dict[str, Any]

PROPOSAL_CATEGORY = {"id": 1, "name": "object"}
IMAGES_ENDING = "_images.json"
KEYS = ("image_id", "category_id", "segmentation", "score")


@dataclass(frozen=True)
class SavedResults:
    """The content of a file and of the list of images beside it.

    Attributes:
        entries: the entries of each image that was looked at, by its id, in the file's order; an
            image has none, one or more.
        images: dicts of the same images by their ids, with "id", "height" and "width", and where
            they are known "file_name"; an image without entries that no list names is not there.
        categories: "id" and "name" of each class, in the order of the classes' numbers; empty
            where they are not known.
        dataset: name of the data set; "" where it is not known.
    """

    entries: dict[ImageId, list[Entry]]
    images: dict[ImageId, dict[str, Any]]
    categories: list[dict[str, Any]] = field(default_factory=list)
    dataset: str = ""


def image_of(record: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """An image as in the list of images.

    Args:
        record: a dict with "image_id", and where there is one "file_name".
        size: height and width of the predicted masks in pixels.
    """
    named = {"file_name": str(record["file_name"])} if "file_name" in record else {}
    return {"id": record["image_id"], **named, "height": int(size[0]), "width": int(size[1])}


def results_of(
    image_id: ImageId,
    masks: Iterable[np.ndarray],
    scores: Sequence[float] | np.ndarray,
    category_ids: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> list[Entry]:
    """The entries of one image, in the given order.

    Args:
        image_id: id of the image, which each entry repeats.
        masks: P masks, (H, W) bool; one is needed at a time.
        scores: (P,) in [0, 1], one for each mask.
        category_ids: (P,) as in the file; None makes them proposals.
        steps: (P,) the order of discovery from 0; None where there is none.
    """
    rles = [rle.encode(mask) for mask in masks]
    boxes = rle.boxes(rles).tolist()
    entries = [
        {
            "image_id": image_id,
            "category_id": PROPOSAL_CATEGORY["id"] if category_ids is None else category_ids[k],
            "bbox": boxes[k],
            "segmentation": rles[k],
            "score": float(score),
        }
        for k, score in zip(range(len(rles)), scores, strict=True)
    ]
    if steps is not None:
        entries = [{**e, "step": step} for e, step in zip(entries, steps, strict=True)]
    return entries


def results_of_instances(
    image_id: ImageId, instances: Any, categories: Sequence[dict[str, Any]], ordered: bool
) -> list[Entry]:
    """The entries of one image's ``Instances``, in their order.

    Args:
        image_id: id of the image, which each entry repeats.
        instances: on the CPU, with "pred_masks" and "scores", and where the model has them
            "pred_classes" and "step".
        categories: from ``categories_of``; where there are none, classes are written by number.
        ordered: whether "step" is the order of discovery, rather than a rank.
    """
    numbers = [0] * len(instances)
    if instances.has("pred_classes"):
        numbers = instances.pred_classes.tolist()
    ids = [categories[k]["id"] if k < len(categories) else k for k in numbers]
    steps = instances.step.tolist() if ordered and instances.has("step") else None
    return results_of(image_id, masks_of(instances), instances.scores, ids, steps)


def categories_of(dataset_name: str) -> list[dict[str, Any]]:
    """The categories of a registered data set: "id" and "name" of each class, in their order."""
    metadata = MetadataCatalog.get(dataset_name)
    names = metadata.get("thing_classes") or ()
    own_ids = metadata.get("thing_dataset_id_to_contiguous_id") or {}
    ids = {number: own for own, number in own_ids.items()}
    return [{"id": ids.get(k, k), "name": name} for k, name in enumerate(names)]


def save_results(
    path: str | Path,
    entries: Iterable[Entry],
    images: Sequence[dict[str, Any]] = (),
    categories: Sequence[dict[str, Any]] = (),
    dataset: str = "",
) -> None:
    """Write a file and the list of images beside it; the same results make the same files.

    Args:
        path: the file to write; its folder is made, and what is there is replaced.
        entries: the entries of all images, in any order.
        images: dicts from ``image_of``; without any there is no list beside the file.
        categories: from ``categories_of``; classes that it lacks are listed by their numbers.
        dataset: name of the data set; "" where there is none.

    Raises:
        UserError: the files cannot be written there.
    """
    path, entries = make_place(path), list(entries)
    _write(path, entries)
    images_file(path).unlink(missing_ok=True)  # of other results
    if images:
        listed = {"images": list(images), "categories": _with_unnamed(categories, entries)}
        _write(images_file(path), {"info": {"dataset": dataset}, **listed})


def load_results(path: str | Path) -> SavedResults:
    """Read a file of results, and the list of images where there is one beside it.

    Args:
        path: a file that ``save_results`` wrote, or COCO results with masks of any tool.

    Raises:
        UserError: there is no such file, it is no JSON list, or an entry lacks a key or a mask.
    """
    path = Path(path)
    found, beside = _read(path, list), images_file(path)
    listed = _read(beside, dict) if beside.is_file() else {}
    images = {image["id"]: image for image in listed.get("images", [])}
    entries: dict[ImageId, list[Entry]] = {image_id: [] for image_id in images}
    for number, entry in enumerate(found):
        _check_entry(path, number, entry)
        height, width = entry["segmentation"]["size"]
        image_id = entry["image_id"]
        images.setdefault(image_id, {"id": image_id, "height": height, "width": width})
        entries.setdefault(image_id, []).append(entry)
    dataset = listed.get("info", {}).get("dataset", "")
    return SavedResults(entries, images, listed.get("categories", []), dataset)


def images_file(path: str | Path) -> Path:
    """The list of images that stands beside a file of results."""
    path = Path(path)
    return path.with_name(f"{path.stem}{IMAGES_ENDING}")


def _with_unnamed(
    categories: Sequence[dict[str, Any]], entries: Sequence[Entry]
) -> list[dict[str, Any]]:
    """The categories, and after them classes by their numbers where entries have others."""
    unnamed = {entry["category_id"] for entry in entries} - {c["id"] for c in categories}
    numbers = range(len(categories), max(unnamed, default=-1) + 1)
    return [*categories, *({"id": k, "name": f"class {k}"} for k in numbers)]


def _write(path: Path, content: Any) -> None:
    save_text(path, json.dumps(content, separators=(",", ":")))


def _read(path: Path, kind: type) -> Any:
    content = read_json(path, "COCO's results, as evaluations and recseg predict write them")
    if not isinstance(content, kind):
        raise UserError(
            f"{path}: found a JSON {type(content).__name__}, expected a {kind.__name__} in the "
            "form of COCO's results."
        )
    return content


def _check_entry(path: Path, number: int, entry: Any) -> None:
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
