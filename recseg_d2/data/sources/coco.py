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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recseg_d2.data.annotations import annotation_of
from recseg_d2.data.io.coco_json import (
    CocoContents,
    CocoImageEntry,
    CocoObject,
    ImageId,
    read_coco_json,
)
from recseg_d2.data.io.image_folder import image_path
from recseg_d2.data.problems import Problem, Record
from recseg_d2.data.segmentations import is_empty, read_segmentation
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
        entry: of the image.
        path: where it is.
        objects: those whose category is kept.
        category_of: category of each "category_id".
    """

    entry: CocoImageEntry
    path: Path
    objects: list[CocoObject]
    category_of: dict[int, int]


@dataclass(frozen=True)
class Coco(DataSource[CocoImage]):
    """Images and objects of an annotation file, in the order of the image ids.

    Attributes:
        json_file: annotations in COCO's format.
        image_root: the folder that "file_name" of the images is relative to.
        categories: names of the categories to keep; they become 0, 1, ... in this order.
        only_with_objects: leave out images without an object of these categories (a crowd is none).
        first: keep so many images, those of the smallest ids; None keeps all.
        sample: keep so many images, drawn by ``seed``; fewer where there are fewer; None keeps all.
        seed: seed that the images are drawn with.
        evaluation: fields of ``MetadataCatalog`` that say how predictions are scored.
        allow_outside: take images outside of ``image_root``, see ``io.image_folder.image_path``.
    """

    json_file: Path
    image_root: Path
    categories: Sequence[str] = coco_categories.NAMES
    only_with_objects: bool = True
    first: int | None = None
    sample: int | None = None
    seed: int = 0
    evaluation: Mapping[str, Any] = field(default_factory=lambda: {"evaluator_type": "coco"})
    allow_outside: bool = False

    @property
    def place(self) -> Path:
        """The file of annotations, which messages name."""
        return self.json_file

    def find(self) -> list[CocoImage]:
        """The images that are kept.

        Raises:
            UserError: as ``read_coco_json``, or the file has no category or image that is wanted,
                or images outside of ``image_root``.
        """
        return self._images(read_coco_json(self.json_file))

    def examine(self) -> tuple[list[CocoImage], list[Problem]]:
        """The images, and what is wrong with annotations: they belong to nothing, have no mask."""
        contents = read_coco_json(self.json_file)
        return self._images(contents), self._problems(contents)

    def read(self, item: CocoImage) -> Record:
        """The standard dict; annotations without a mask are left out, and logged."""
        entry = item.entry
        found = (self._annotation(o, item) for o in item.objects)
        return {
            "file_name": self.file_of(item),
            "height": entry.height,
            "width": entry.width,
            "image_id": entry.id,
            "annotations": [a for a in found if a is not None],
        }

    def file_of(self, item: CocoImage) -> str:
        """Path of the image file."""
        return str(item.path)

    def metadata(self) -> dict[str, Any]:
        """The categories that are kept, and ``evaluation``."""
        return {"thing_classes": self.categories, **self.evaluation}

    def _problems(self, contents: CocoContents) -> list[Problem]:
        objects = self._kept(contents)
        if objects and all(o.is_crowd for o in objects):
            return self._named(
                f"all {len(objects)} annotations are crowds (iscrowd 1), regions of several "
                "objects that no model learns from; set iscrowd to 0 where each is one object."
            )
        empty = [o for o in objects if is_empty(o.segmentation)]
        if objects and len(empty) == len(objects):
            return self._named(
                f"none of {len(objects)} annotations has a mask (segmentation); boxes alone cannot "
                "train masks."
            )
        messages = []
        for which in contents.objects:
            if which.image_id not in contents.images:
                messages.append(f"{which.id}: found image_id {which.image_id}, which no image has.")
            elif which.category_id not in contents.categories:
                messages.append(
                    f"{which.id}: found category_id {which.category_id}, which no category has."
                )
        lost = self._named(*(f"annotation {message}" for message in messages))
        left_out = (f"annotation {o.id} has no mask: left out." for o in empty)
        return [*lost, *self._named(*left_out, warning=True)]

    def _named(self, *messages: str, warning: bool = False) -> list[Problem]:
        return [Problem(str(self.json_file), message, warning) for message in messages]

    def _kept(self, contents: CocoContents) -> list[CocoObject]:
        """Objects of images that are there and categories that are wanted."""
        wanted = {i for i, name in contents.categories.items() if name in self.categories}
        return [
            o for o in contents.objects if o.category_id in wanted and o.image_id in contents.images
        ]

    def _images(self, contents: CocoContents) -> list[CocoImage]:
        category_of = self._category_index(contents.categories)
        by_image: dict[ImageId, list[CocoObject]] = defaultdict(list)
        for found in contents.objects:
            if found.category_id in category_of:
                by_image[found.image_id].append(found)
        chosen = self._choose(_in_order(contents.images), by_image)
        entries = [contents.images[i] for i in chosen]
        paths = [self._path(entry) for entry in entries]
        self._check_same_file(entries, paths)
        return [
            CocoImage(entry, path, by_image.get(entry.id, []), category_of)
            for entry, path in zip(entries, paths, strict=True)
        ]

    def _path(self, entry: CocoImageEntry) -> Path:
        try:
            return image_path(self.image_root, entry.file_name, self.allow_outside)
        except UserError as error:
            raise UserError(f"{self.json_file}: image {entry.id}: {error}") from error

    def _check_same_file(self, entries: Sequence[CocoImageEntry], paths: Sequence[Path]) -> None:
        """Refuse images that are told apart only by folders which are not there."""
        names = dict(zip(paths, (entry.file_name for entry in entries), strict=True))
        for entry, path in zip(entries, paths, strict=True):
            if entry.file_name != names[path]:
                raise UserError(
                    f"{self.json_file}: found file_name {entry.file_name!r} and {names[path]!r}, "
                    f"which would both be {path}; put the images into folders as the file says."
                )

    def _category_index(self, listed: Mapping[int, str]) -> dict[int, int]:
        """The file's ids -> index in ``categories``; ids of one name have one index."""
        missing = [name for name in self.categories if name not in listed.values()]
        if missing:
            raise UserError(
                f"{self.json_file}: found no category {', '.join(missing)}; it has "
                f"{', '.join(listed.values())}."
            )
        index = {name: n for n, name in enumerate(self.categories)}
        return {number: index[name] for number, name in listed.items() if name in index}

    def _choose(
        self, images: list[ImageId], by_image: Mapping[ImageId, list[CocoObject]]
    ) -> list[ImageId]:
        """Ids of the images to keep, in increasing order, out of all in that order."""
        chosen = images[: self.first]
        if self.only_with_objects:
            chosen = [i for i in chosen if not all(o.is_crowd for o in by_image.get(i, ()))]
        if not chosen:
            raise UserError(
                f"{self.json_file}: none of {len(images)} images has an object of "
                f"{', '.join(self.categories)}."
            )
        order = np.random.RandomState(self.seed).permutation(len(chosen))[: self.sample]
        return [chosen[k] for k in sorted(order)]

    def _annotation(self, found: CocoObject, item: CocoImage) -> dict[str, Any] | None:
        """In the standard form; None, and a warning, where no polygon has three points."""
        shape = (item.entry.height, item.entry.width)
        which = f"{self.json_file}: annotation {found.id}"
        mask = read_segmentation(found.segmentation, shape, which)
        if mask is None:
            logger.warning("%s has no mask: left out.", which)
            return None
        category = item.category_of[found.category_id]
        annotation = annotation_of(mask, shape, category, found.is_crowd)
        return annotation if found.bbox is None else {**annotation, "bbox": found.bbox}


def _in_order(ids: Iterable[ImageId]) -> list[ImageId]:
    """Numbers in increasing order, then texts."""
    return sorted(ids, key=lambda i: (isinstance(i, str), i))


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
