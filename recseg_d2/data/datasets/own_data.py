"""A user's own data, in whichever of the usual forms it is.

    DIR/images/* and DIR/labels/*, or DIR/*_rgb.* beside DIR/*_label.*     label maps, no classes
    DIR/{JPEGImages,SegmentationObject,SegmentationClass}/*                Pascal VOC's form
    DIR/ImageSets/Segmentation/LIST.txt                                    the images of that list
    FILE.json                                                              COCO's form

``FILE.json`` does not say where its images are; see ``find_image_folder``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.coco_files import read_coco_json
from recseg_d2.data.datasets.coco_subset import COCO_METADATA, CocoSubset
from recseg_d2.data.datasets.label_maps import register_folder
from recseg_d2.data.datasets.voc import VOC_METADATA, VocSource
from recseg_d2.data.limits import ObjectLimits
from recseg_d2.data.problems import Problem, Record, survey
from recseg_d2.data.voc_files import CLASSES
from recseg_d2.data.voc_splits import voc_images
from recseg_d2.errors import UserError

FORMS = (
    "a folder with images/ and labels/, one with JPEGImages/, SegmentationObject/ and "
    "SegmentationClass/ (or a list in its ImageSets/Segmentation/), or a .json file in COCO's form"
)
ONE_CLASS = "object"
_VOC_PARTS = ("JPEGImages", "SegmentationObject", "SegmentationClass")
_JSON_PREFIX = "instances_"


def register_own_data(
    name: str,
    place: str | Path,
    min_objects: int = 0,
    max_objects: int | None = None,
    one_class: bool = False,
) -> None:
    """Register data in one of the forms of the module's docstring.

    Label maps are evaluated as "leaf", Pascal VOC's form as "voc_segm", COCO's as "coco". The
    classes are VOC's twenty, or the file's categories in the order of their ids; categories of one
    name are one class.

    Args:
        name: for the catalogs.
        place: the folder or file.
        min_objects: images with fewer objects are left out; crowds are no objects.
        max_objects: images with more objects are left out; None for no limit.
        one_class: take all objects to be of one class, "object".

    Raises:
        UserError: there is nothing, or something of another form; a ``.json`` file cannot be read,
            or none of its images is found. Images are read when the data set is first used.
    """
    place = Path(place)
    limits = ObjectLimits(min_objects, max_objects)
    select = partial(Selection, name, str(place), limits=limits, one_class=one_class)
    if place.is_file() and place.suffix.lower() == ".json":
        source, classes = _coco(name, place)
        _register(select(source), classes, COCO_METADATA)
    elif (root := voc_root(place)) is not None:
        voc = VocSource(name, partial(voc_images, root, place if place.is_file() else None))
        _register(select(voc), CLASSES, VOC_METADATA)
    elif place.is_dir() and not _annotation_files(place):
        register_folder(name, place, min_objects=min_objects, max_objects=max_objects)
    else:
        raise UserError(f"{place}: expected {FORMS}; found {_found(place)}.")


@dataclass(frozen=True)
class Selection:
    """Those images of a source that are within the limits, with the source's classes or one.

    Attributes:
        name: of the data set.
        place: where it is, for messages.
        source: gives standard dicts that may be changed.
        limits: which images to keep.
        one_class: whether all category ids become 0.
    """

    name: str
    place: str
    source: Callable[[], list[Record]]
    limits: ObjectLimits = field(default_factory=ObjectLimits)
    one_class: bool = False

    def __call__(self) -> list[Record]:
        """The standard dicts; callers may change what they get.

        Raises:
            UserError: no image is within the limits, or the source refuses its data.
        """
        records = self.source()
        kept = self._selected(records)
        if not kept:
            raise UserError(f"{self.place}: {self.limits.why_empty(records)}")
        return kept

    def survey(self) -> tuple[list[Record], list[Problem]]:
        """The dicts of the good images, and what is wrong with the others."""
        records, problems = survey(self.source)
        return self._selected(records), problems

    def _selected(self, records: list[Record]) -> list[Record]:
        kept = [record for record in records if self.limits.keeps(record)]
        if self.one_class:
            for annotation in (a for record in kept for a in record["annotations"]):
                annotation["category_id"] = 0
        return kept


def voc_root(place: Path) -> Path | None:
    """The folder in Pascal VOC's form that ``place`` is or, as a list of images, lies in.

    Raises:
        UserError: there is a JPEGImages/, but not all that belongs to it.
    """
    if place.is_file() and place.suffix.lower() == ".txt" and len(place.resolve().parents) > 2:
        root = place.resolve().parents[2]
    else:
        root = place
    there = [part for part in _VOC_PARTS if (root / part).is_dir()]
    if _VOC_PARTS[0] not in there:
        return None
    if len(there) < len(_VOC_PARTS):
        missing = ", ".join(part for part in _VOC_PARTS if part not in there)
        raise UserError(f"{root}: found {', '.join(there)}, expected {missing} too.")
    return root


def find_image_folder(json_file: Path, names: Sequence[str]) -> Path:
    """Where the images of a file in COCO's form are.

    It is the first of these folders that has one of them, for a file A/B/instances_X.json or
    A/B/X.json: A/X (as COCO's own), A/images/X, A/images, B/X, B/images and B.

    Args:
        json_file: the annotations.
        names: the images' names in it, at least one.

    Raises:
        UserError: no folder has one.
    """
    stem, beside = json_file.stem.removeprefix(_JSON_PREFIX), json_file.resolve().parent
    above = beside.parent
    places = (
        *(above / stem, above / "images" / stem, above / "images"),
        *(beside / stem, beside / "images", beside),
    )
    for folder in places:
        if folder.is_dir() and any((folder / name).is_file() for name in names):
            return folder
    looked = ", ".join(map(str, places))
    raise UserError(f"{json_file}: found none of its images, such as {names[0]}, in {looked}.")


def _coco(name: str, json_file: Path) -> tuple[CocoSubset, tuple[str, ...]]:
    """The whole of a file in COCO's form, images without objects included, and its classes."""
    contents = read_coco_json(json_file)
    listed = sorted(contents["categories"], key=lambda category: category["id"])
    classes = tuple(dict.fromkeys(category["name"] for category in listed))
    if not classes or not contents["images"]:
        counts = f"{len(contents['images'])} images and {len(classes)} categories"
        raise UserError(f"{json_file}: found {counts}, expected one or more of both.")
    folder = find_image_folder(json_file, [image["file_name"] for image in contents["images"]])
    return CocoSubset(name, json_file, folder, classes, only_with_objects=False), classes


def _register(selection: Selection, classes: Sequence[str], metadata: dict[str, Any]) -> None:
    DatasetCatalog.register(selection.name, selection)
    names = [ONE_CLASS] if selection.one_class else list(classes)
    MetadataCatalog.get(selection.name).set(thing_classes=names, **metadata)


def _annotation_files(folder: Path) -> list[str]:
    """Files in COCO's form in a folder of no other form, which its user may have meant."""
    if (folder / "labels").is_dir():
        return []
    return [
        str(p) for part in (folder, folder / "annotations") for p in sorted(part.glob("*.json"))
    ]


def _found(place: Path) -> str:
    if place.is_dir():
        return f"a folder with {', '.join(_annotation_files(place))}: name one of the files"
    return f"a {place.suffix or 'nameless'} file" if place.is_file() else "nothing there"
