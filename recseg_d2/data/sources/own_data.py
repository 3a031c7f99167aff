"""A user's own data, in whichever of the usual forms it is.

    DIR/images/* and DIR/labels/*, or DIR/*_rgb.* beside DIR/*_label.*     label maps, no classes
    DIR/{JPEGImages,SegmentationObject,SegmentationClass}/*                Pascal VOC's form
    DIR/ImageSets/Segmentation/LIST.txt                                    the images of that list
    FILE.json                                                              COCO's form

Each form is a small class that recognises its files; the first in ``FORMS`` that does opens them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from recseg_d2.data.io.coco_json import read_coco_json
from recseg_d2.data.io.image_folder import find_image_folder
from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.coco import Coco
from recseg_d2.data.sources.label_maps import LabelMaps
from recseg_d2.data.sources.voc import Voc
from recseg_d2.errors import UserError

_VOC_PARTS = ("JPEGImages", "SegmentationObject", "SegmentationClass")


@dataclass(frozen=True)
class Reading:
    """How files are read, where their form leaves a choice.

    Attributes:
        allow_outside: of annotation files, take images outside of their folder.
        components: of label maps, take each connected region as an object.
        background: of label maps, values that are background besides 0.
    """

    allow_outside: bool = False
    components: bool = False
    background: tuple[int, ...] = ()


def open_own_data(
    name: str, place: str | Path, reading: Reading = Reading(), **selection: Any
) -> DataSource:
    """Open data in one of the forms of the module's docstring.

    Label maps are evaluated as "label_map", Pascal VOC's form as "voc_segm", COCO's as "coco". The
    classes are VOC's twenty, or the file's categories in the order of their ids; categories of one
    name are one class.

    Args:
        name: for the catalogs.
        place: the folder or file.
        reading: how files are read, where there is a choice.
        selection: ``min_objects``, ``max_objects`` and ``one_class`` of ``DataSource``.

    Raises:
        UserError: there is nothing, or something of another form; a ``.json`` file cannot be read,
            or none of its images is found. Images are read when the data set is first used.
    """
    place = Path(place)
    for form in FORMS:
        if form.recognises(place):
            form.check_reading(place, reading)
            return form.open(name, place, reading, **selection)
    raise UserError(f"{place}: expected {words_for_forms()}; found {_found(place)}.")


def words_for_forms() -> str:
    """All forms, as a help text or a message lists them."""
    *most, last = (form.words for form in FORMS)
    return f"{', '.join(most)}, or {last}"


class Form(ABC):
    """A form of data.

    Attributes:
        words: what a folder or file of this form is, for help texts and messages.
    """

    words: ClassVar[str]

    @abstractmethod
    def recognises(self, place: Path) -> bool:
        """Whether a folder or file looks as if it were of this form."""

    def check_reading(self, place: Path, reading: Reading) -> None:
        """Refuse choices that this form does not have.

        Raises:
            UserError: label maps are to be read in some way, and this has none.
        """
        if reading.components or reading.background:
            raise UserError(
                f"{place}: --components and --background are for label maps; found {self.words}."
            )

    @abstractmethod
    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """The data set.

        Raises:
            UserError: what belongs to the form is missing, or cannot be read.
        """


class LabelMapFolder(Form):
    """Images and label maps in one folder, apart or side by side."""

    words = "a folder with images/ and labels/ (or *_rgb.png beside *_label.png)"

    def recognises(self, place: Path) -> bool:
        """Whether there are both folders, or images side by side with label maps."""
        return self._layout(place) is not None

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """Label maps of one class."""
        return LabelMaps(
            name,
            **(self._layout(place) or {}),
            components=reading.components,
            background=reading.background,
            **selection,
        )

    def check_reading(self, place: Path, reading: Reading) -> None:
        """All choices are for label maps."""

    @staticmethod
    def _layout(folder: Path) -> dict[str, Any] | None:
        if (folder / "images").is_dir() and (folder / "labels").is_dir():
            return {"image_dir": folder / "images", "label_dir": folder / "labels"}
        if folder.is_dir() and any(folder.glob("*_rgb.*")):
            suffixes = {"image_suffix": "_rgb", "label_suffix": "_label"}
            return {"image_dir": folder, "label_dir": folder, **suffixes}
        return None


class VocFolder(Form):
    """Pascal VOC's folders, or a list of images in one of them."""

    words = (
        "one with JPEGImages/, SegmentationObject/ and SegmentationClass/ (or a list in its "
        "ImageSets/Segmentation/)"
    )

    def recognises(self, place: Path) -> bool:
        """Whether there are VOC's images."""
        return (self._root(place) / _VOC_PARTS[0]).is_dir()

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """All images, or those of the list."""
        root = self._root(place)
        missing = [part for part in _VOC_PARTS if not (root / part).is_dir()]
        if missing:
            there = [part for part in _VOC_PARTS if part not in missing]
            raise UserError(f"{root}: found {', '.join(there)}, expected {', '.join(missing)} too.")
        return Voc(name, root, place if place.is_file() else None, **selection)

    @staticmethod
    def _root(place: Path) -> Path:
        """The folder that ``place`` is or, as a list of images, lies in."""
        if place.is_file() and place.suffix.lower() == ".txt" and len(place.resolve().parents) > 2:
            return place.resolve().parents[2]
        return place


class CocoFile(Form):
    """A file in COCO's form, whose images are where ``find_image_folder`` finds them."""

    words = "a .json file in COCO's form"

    def recognises(self, place: Path) -> bool:
        """Whether it is a JSON file."""
        return place.is_file() and place.suffix.lower() == ".json"

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """The whole of the file, images without objects included."""
        contents = read_coco_json(place)
        classes = tuple(dict.fromkeys(name for _, name in sorted(contents.categories.items())))
        if not classes or not contents.images:
            counts = f"{len(contents.images)} images and {len(classes)} categories"
            raise UserError(f"{place}: found {counts}, expected one or more of both.")
        names = [image.file_name for image in contents.images.values()]
        outside = reading.allow_outside
        folder = find_image_folder(place, names, outside)
        return Coco(
            name,
            place,
            folder,
            classes,
            only_with_objects=False,
            allow_outside=outside,
            **selection,
        )


FORMS: tuple[Form, ...] = (LabelMapFolder(), VocFolder(), CocoFile())


def _found(place: Path) -> str:
    if place.is_dir():
        files = [p for part in (place, place / "annotations") for p in sorted(part.glob("*.json"))]
        named = f"a folder with {', '.join(map(str, files))}: name one of the files"
        return named if files else "a folder without them"
    return f"a {place.suffix or 'nameless'} file" if place.is_file() else "nothing there"
