"""Parts of COCO: some categories, some images.

    $DETECTRON2_DATASETS/coco/annotations/instances_{train,val}2014.json
    $DETECTRON2_DATASETS/coco/{train,val}2014/*.jpg

with the names

    recseg_coco_zebra_train         zebras, 1000 images of train2014 by a seed (Ren & Zemel 2017,
                                    whose own choice is not published)
    recseg_coco_zebra_val           zebras, every image of val2014 that has one
    recseg_coco_2014_{train,val5k}  all categories; val5k is the first 5000 images of val2014 by id
                                    (InstanceFCN, as DeepMask before it)

Crowds stay crowds. Detectron2's own ``coco_2014_train`` and the like read the same files.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode
from pycocotools import mask as coco_mask

from recseg_d2.data import coco_categories
from recseg_d2.data.coco_files import no_mask, read_coco_json, usable_segmentation
from recseg_d2.data.problems import Problem
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

ZEBRA_IMAGES, ZEBRA_SEED = 1000, 0
VAL5K = 5000
COCO_METADATA = {"evaluator_type": "coco"}
# Table 5 of Ren & Zemel 2017: MWCov, MUCov, |DiC| and the share of images counted right; no class.
ZEBRA_METADATA = {"evaluator_type": "leaf", "metrics": ("mwcov", "mucov", "dic", "countacc")}


@dataclass(frozen=True)
class CocoSubset:
    """A source of standard dicts.

    Attributes:
        name: of the data set, for messages.
        json_file: annotations in COCO's format.
        image_root: the folder of the images.
        categories: names of the categories to keep; they become 0, 1, ... in this order.
        only_with_objects: leave out images without an object of these categories (a crowd is none).
        first: keep so many images, those of the smallest ids; None keeps all.
        sample: keep so many images, drawn by ``seed``; fewer where there are fewer; None keeps all.
        seed: of that draw.
    """

    name: str
    json_file: Path
    image_root: Path
    categories: tuple[str, ...]
    only_with_objects: bool = True
    first: int | None = None
    sample: int | None = None
    seed: int = 0

    def __call__(self) -> list[dict[str, Any]]:
        """The standard dicts in the order of the image ids; callers may change what they get."""
        return [{**r, "annotations": [dict(a) for a in r["annotations"]]} for r in self._records]

    def survey(self) -> tuple[list[dict[str, Any]], list[Problem]]:
        """The dicts, and the annotations that are left out of them."""
        return self(), self._left_out

    @cached_property
    def _left_out(self) -> list[Problem]:
        """Annotations of images or categories that the file does not list, or without a mask."""
        contents = read_coco_json(self.json_file)
        images = {image["id"] for image in contents["images"]}
        categories = {category["id"]: category["name"] for category in contents["categories"]}
        messages = []
        for annotation in contents["annotations"]:
            which = f"annotation {annotation['id']}"
            image, category = annotation["image_id"], annotation["category_id"]
            if image not in images:
                messages.append(f"{which}: found image_id {image}, which no image has.")
            elif category not in categories:
                messages.append(f"{which}: found category_id {category}, which no category has.")
            elif categories[category] in self.categories and not usable_segmentation(annotation):
                messages.append(no_mask(annotation))
        return [Problem(str(self.json_file), message) for message in messages]

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        contents = read_coco_json(self.json_file)
        category_of = self._category_ids(contents["categories"])
        by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in contents["annotations"]:
            if annotation["category_id"] in category_of:
                by_image[annotation["image_id"]].append(annotation)
        images = {image["id"]: image for image in contents["images"]}
        records = [
            self._record(images[i], by_image[i], category_of)
            for i in self._choose(images, by_image)
        ]
        logger.info("%s: %d images of %s.", self.name, len(records), self.json_file)
        return records

    def _category_ids(self, listed: list[dict[str, Any]]) -> dict[int, int]:
        """The file's ids -> index in ``categories``; ids of one name have one index."""
        names = {category["id"]: category["name"] for category in listed}
        missing = [name for name in self.categories if name not in names.values()]
        if missing:
            raise UserError(
                f"{self.json_file}: found no category {', '.join(missing)}; it has "
                f"{', '.join(names.values())}."
            )
        index = {name: n for n, name in enumerate(self.categories)}
        return {number: index[name] for number, name in names.items() if name in index}

    def _choose(self, images: dict[int, Any], by_image: dict[int, list[dict]]) -> list[int]:
        """Ids of the images to keep, in increasing order."""
        chosen = sorted(images)[: self.first]
        if self.only_with_objects:
            chosen = [
                i for i in chosen if any(not a.get("iscrowd", 0) for a in by_image.get(i, ()))
            ]
        if not chosen:
            raise UserError(
                f"{self.json_file}: none of {len(images)} images has an object of "
                f"{', '.join(self.categories)}."
            )
        order = np.random.RandomState(self.seed).permutation(len(chosen))[: self.sample]
        return [chosen[k] for k in sorted(order)]

    def _record(
        self, image: dict[str, Any], annotations: list[dict], category_of: dict[int, int]
    ) -> dict[str, Any]:
        size = (image["height"], image["width"])
        found = (self._annotation(a, category_of[a["category_id"]], size) for a in annotations)
        return {
            "file_name": str(self.image_root / image["file_name"]),
            "height": size[0],
            "width": size[1],
            "image_id": image["id"],
            "annotations": [a for a in found if a is not None],
        }

    def _annotation(
        self, annotation: dict[str, Any], category: int, size: tuple[int, int]
    ) -> dict[str, Any] | None:
        """In the standard form; None, and a warning, where no polygon has three points."""
        segmentation = usable_segmentation(annotation)
        if isinstance(segmentation, dict) and isinstance(segmentation["counts"], list):
            rle = coco_mask.frPyObjects(segmentation, *size)
            segmentation = {"size": list(size), "counts": rle["counts"].decode("ascii")}
        if not segmentation:
            logger.warning("%s: %s", self.json_file, no_mask(annotation))
            return None
        return {
            "bbox": annotation["bbox"],
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": category,
            "segmentation": segmentation,
            "iscrowd": annotation.get("iscrowd", 0),
        }


def register_coco_subset(
    name: str,
    json_file: str | Path,
    image_root: str | Path,
    categories: Sequence[str] = coco_categories.NAMES,
    metadata: Mapping[str, Any] = COCO_METADATA,
    **selection: Any,
) -> None:
    """Register a part of a data set in COCO's format; nothing is read before it is used.

    Args:
        name: for the catalogs.
        json_file: the annotations.
        image_root: the folder of the images.
        categories: names of those to keep, in the order of the new category ids.
        metadata: more fields for ``MetadataCatalog``, such as "evaluator_type".
        selection: ``only_with_objects``, ``first``, ``sample`` and ``seed`` of ``CocoSubset``.
    """
    source = CocoSubset(name, Path(json_file), Path(image_root), tuple(categories), **selection)
    DatasetCatalog.register(name, source)
    MetadataCatalog.get(name).set(thing_classes=list(categories), **metadata)


def register_builtin() -> None:
    """Register the names in the module's docstring; nothing is read until they are used."""
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "coco"

    def register(name: str, part: str, categories: Sequence[str], **options: Any) -> None:
        json_file = root / "annotations" / f"instances_{part}.json"
        register_coco_subset(f"recseg_coco_{name}", json_file, root / part, categories, **options)

    zebra: dict[str, Any] = {"categories": ("zebra",), "metadata": ZEBRA_METADATA}
    register("zebra_train", "train2014", sample=ZEBRA_IMAGES, seed=ZEBRA_SEED, **zebra)
    register("zebra_val", "val2014", **zebra)
    register("2014_train", "train2014", coco_categories.NAMES)
    register("2014_val5k", "val2014", coco_categories.NAMES, first=VAL5K, only_with_objects=False)
