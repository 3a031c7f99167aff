"""Data in COCO's form, and parts of COCO: some categories, some images.

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
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detectron2.structures import BoxMode

from recseg_d2.data.annotations import segmentation_to_rle
from recseg_d2.data.io.coco_json import no_mask, read_coco_json, usable_segmentation
from recseg_d2.data.problems import Problem, Record
from recseg_d2.data.sources import coco_categories
from recseg_d2.data.sources.base import DataSource
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

ZEBRA_IMAGES, ZEBRA_SEED = 1000, 0
VAL5K = 5000
# Table 5 of Ren & Zemel 2017: MWCov, MUCov, |DiC| and the share of images counted right; no class.
ZEBRA_EVALUATION = {"evaluator_type": "label_map", "metrics": ("mwcov", "mucov", "dic", "countacc")}


class CocoImage(NamedTuple):
    """An image of an annotation file.

    Attributes:
        image: its entry in "images".
        annotations: entries in "annotations" whose category is kept.
        category_of: category of each "category_id".
    """

    image: dict[str, Any]
    annotations: list[dict[str, Any]]
    category_of: dict[int, int]


@dataclass(frozen=True)
class Coco(DataSource[CocoImage]):
    """Images and objects of an annotation file, in the order of the image ids.

    Attributes:
        json_file: annotations in COCO's format.
        image_root: the folder of the images.
        categories: names of the categories to keep; they become 0, 1, ... in this order.
        only_with_objects: leave out images without an object of these categories (a crowd is none).
        first: keep so many images, those of the smallest ids; None keeps all.
        sample: keep so many images, drawn by ``seed``; fewer where there are fewer; None keeps all.
        seed: of that draw.
        evaluation: fields of ``MetadataCatalog`` that say how predictions are scored.
    """

    json_file: Path
    image_root: Path
    categories: Sequence[str] = coco_categories.NAMES
    only_with_objects: bool = True
    first: int | None = None
    sample: int | None = None
    seed: int = 0
    evaluation: Mapping[str, Any] = field(default_factory=lambda: {"evaluator_type": "coco"})

    @property
    def place(self) -> Path:
        """The annotation file."""
        return self.json_file

    def find(self) -> list[CocoImage]:
        """The images that are kept."""
        return self._images(read_coco_json(self.json_file))

    def read(self, item: CocoImage) -> Record:
        """The standard dict; annotations without a mask are left out, and logged."""
        image, annotations, category_of = item
        size = (image["height"], image["width"])
        found = (self._annotation(a, category_of[a["category_id"]], size) for a in annotations)
        return {
            "file_name": self.file_of(item),
            "height": size[0],
            "width": size[1],
            "image_id": image["id"],
            "annotations": [a for a in found if a is not None],
        }

    def file_of(self, item: CocoImage) -> str:
        """The image."""
        return str(self.image_root / item.image["file_name"])

    def metadata(self) -> dict[str, Any]:
        """The categories that are kept, and ``evaluation``."""
        return {"thing_classes": self.categories, **self.evaluation}

    def survey(self) -> tuple[list[Record], list[Problem]]:
        """The dicts, and what is wrong with images and with annotations that are left out."""
        contents = read_coco_json(self.json_file)
        records, problems = self.survey_items(self._images(contents))
        return records, [*self._left_out(contents), *problems]

    def _left_out(self, contents: dict[str, Any]) -> list[Problem]:
        """Annotations of images or categories that the file does not list, or without a mask."""
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

    def _images(self, contents: dict[str, Any]) -> list[CocoImage]:
        category_of = self._category_ids(contents["categories"])
        by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in contents["annotations"]:
            if annotation["category_id"] in category_of:
                by_image[annotation["image_id"]].append(annotation)
        images = {image["id"]: image for image in contents["images"]}
        chosen = self._choose(sorted(images), by_image)
        return [CocoImage(images[i], by_image.get(i, []), category_of) for i in chosen]

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

    def _choose(self, images: list[int], by_image: Mapping[int, list[dict]]) -> list[int]:
        """Ids of the images to keep, in increasing order, out of all in that order."""
        chosen = images[: self.first]
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

    def _annotation(
        self, annotation: dict[str, Any], category: int, size: tuple[int, int]
    ) -> dict[str, Any] | None:
        """In the standard form; None, and a warning, where no polygon has three points."""
        segmentation = usable_segmentation(annotation)
        if not segmentation:
            logger.warning("%s: %s", self.json_file, no_mask(annotation))
            return None
        if isinstance(segmentation, dict):
            which = f"{self.json_file}: annotation {annotation['id']}"
            segmentation = segmentation_to_rle(segmentation, size, which)
        return {
            "bbox": annotation["bbox"],
            "bbox_mode": BoxMode.XYWH_ABS,
            "category_id": category,
            "segmentation": segmentation,
            "iscrowd": annotation.get("iscrowd", 0),
        }


def builtin(root: Path) -> Iterator[DataSource]:
    """The data sets of the module's docstring."""

    def part(name: str, images: str, **selection: Any) -> Coco:
        json_file = root / "coco" / "annotations" / f"instances_{images}.json"
        return Coco(f"recseg_coco_{name}", json_file, root / "coco" / images, **selection)

    zebra: dict[str, Any] = {"categories": ("zebra",), "evaluation": ZEBRA_EVALUATION}
    yield part("zebra_train", "train2014", sample=ZEBRA_IMAGES, seed=ZEBRA_SEED, **zebra)
    yield part("zebra_val", "val2014", **zebra)
    yield part("2014_train", "train2014")
    yield part("2014_val5k", "val2014", first=VAL5K, only_with_objects=False)
