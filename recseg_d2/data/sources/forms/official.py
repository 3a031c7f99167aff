"""Data sets in their official layouts, wherever they lie: Cityscapes, KITTI, CVPPP 2017.

(CVPPP 2014 has label maps beside its images, see ``label_maps``.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recseg_d2.data.sources import kitti
from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.cityscapes import Cityscapes
from recseg_d2.data.sources.cvppp import CvpppH5
from recseg_d2.data.sources.forms.base import Form, Reading
from recseg_d2.data.sources.kitti import KittiCars
from recseg_d2.data.sources.kitti2015 import Kitti2015
from recseg_d2.errors import UserError

_H5_IMAGES, _H5_TRUTH = "CVPPP2017_training_images.h5", "CVPPP2017_training_truth.h5"


class CityscapesFolder(Form):
    """Cityscapes, or the images of one of its splits."""

    words = "Cityscapes' leftImg8bit/SPLIT/ beside gtFine/"

    def recognises(self, place: Path) -> bool:
        """Whether it is the folder of a split's images, or the one with all images and labels."""
        return self._is_root(place) or self._is_root(place.parent.parent)

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """The split."""
        reading.refuse_label_options(place, self.words)
        if self._is_root(place):
            images = place / "leftImg8bit"
            place = _the_only(place, [images / "train", images / "val"])  # test has no labels
        return Cityscapes(name, place.parent.parent, place.name, **selection)

    @staticmethod
    def _is_root(place: Path) -> bool:
        return (place / "leftImg8bit").is_dir() and (place / "gtFine").is_dir()


class KittiCarsFolder(Form):
    """KITTI's cars as Ren & Zemel used them, or one of its lists."""

    words = "a list of KITTI's cars (train.txt, valid_man.txt, test_man.txt beside images/ and gt/)"

    def recognises(self, place: Path) -> bool:
        """Whether it is one of the lists, or the folder with them."""
        return any(path.is_file() for path in self._lists(place))

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """The images of the list."""
        reading.refuse_label_options(place, self.words)
        chosen = _the_only(place, self._lists(place))
        splits = {list_name: split for split, (list_name, _) in kitti.SPLITS.items()}
        return KittiCars(name, chosen.parent, splits[chosen.name], **selection)

    @staticmethod
    def _lists(place: Path) -> list[Path]:
        root = place.parent if place.is_file() else place
        if not (root / "images").is_dir() or not any((root / n).is_dir() for n in ("gt", "gt_man")):
            return []
        lists = [root / name for name, _ in kitti.SPLITS.values()]
        return [path for path in lists if place in (root, path)]


class Kitti2015Folder(Form):
    """The training images of KITTI's instance segmentation of 2015."""

    words = "KITTI 2015's training/ with image_2/ and instance/"

    def recognises(self, place: Path) -> bool:
        """Whether it has images and instance ids, or a folder "training" with them."""
        return self._training(place) is not None

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """All annotated images."""
        reading.refuse_label_options(place, self.words)
        training = self._training(place)
        assert training is not None  # it was recognised
        return Kitti2015(name, training.parent, "trainval", **selection)

    @staticmethod
    def _training(place: Path) -> Path | None:
        places = [place / "training", *([place] if place.name == "training" else [])]
        parts = ("image_2", "instance")
        return next((p for p in places if all((p / part).is_dir() for part in parts)), None)


class Cvppp2017Files(Form):
    """Set A1 of CVPPP 2017's training files."""

    words = f"{_H5_IMAGES} beside {_H5_TRUTH} (set A1)"

    def recognises(self, place: Path) -> bool:
        """Whether it is the file of images, or a folder with it."""
        return place.name == _H5_IMAGES or (place / _H5_IMAGES).is_file()

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """All plants of A1."""
        reading.refuse_label_options(place, self.words)
        folder = place if place.is_dir() else place.parent
        return CvpppH5(name, folder / _H5_IMAGES, folder / _H5_TRUTH, **selection)


def _the_only(place: Path, choices: list[Path]) -> Path:
    """The choice that is there.

    Raises:
        UserError: several are.
    """
    there = [path for path in choices if path.exists()]
    if len(there) != 1:
        named = ", ".join(map(str, there or choices))
        raise UserError(f"{place}: found {len(there)} parts of a data set: name one ({named}).")
    return there[0]
