"""Images and label maps, in two folders or side by side in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from recseg_d2.data.io.image_files import IMAGE_EXTENSIONS
from recseg_d2.data.io.label_maps import LABEL_EXTENSIONS
from recseg_d2.data.io.pairing import LABEL_SUFFIXES, files_by_stem
from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.forms.base import Form, Reading, first_of, folders_in
from recseg_d2.data.sources.label_maps import LabelMaps
from recseg_d2.errors import UserError

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
LABEL_FOLDERS = ("labels", "masks", "label", "mask", "label_maps", "instances")
# Suffixes of images beside which label maps have one of LABEL_SUFFIXES.
_IMAGE_SUFFIXES = ("_rgb", "_img", "")


class _Layout(NamedTuple):
    image_dir: Path
    label_dir: Path
    image_suffix: str = ""
    label_suffix: str = ""


class LabelMapFolder(Form):
    """Images and label maps in two folders, or side by side."""

    words = (
        "a folder with images/ and labels/ or masks/ (or label maps *_label, *_mask, *_masks, "
        "*_cp_masks, *_seg.npy beside the images)"
    )

    def recognises(self, place: Path) -> bool:
        """Whether there are both folders, or images side by side with label maps."""
        return self._layout(place, None) is not None

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """Label maps of one class."""
        layout = self._layout(place, reading.label_suffix)
        if layout is None:
            raise UserError(
                f"{place}: found no label map *{reading.label_suffix}.* beside an image, expected "
                "--label-suffix to be what their names have more than the images'."
            )
        options = {
            "components": reading.components,
            "background": reading.background,
            "ignore": reading.ignore,
        }
        return LabelMaps(
            name,
            layout.image_dir,
            layout.label_dir,
            image_suffix=layout.image_suffix,
            label_suffix=layout.label_suffix,
            **{**options, **selection},
        )

    @staticmethod
    def _layout(place: Path, suffix: str | None) -> _Layout | None:
        folders = folders_in(place)
        images, labels = first_of(IMAGE_FOLDERS, folders), first_of(LABEL_FOLDERS, folders)
        if images and labels:
            return _Layout(
                images, labels, "", _suffix(images, labels) if suffix is None else suffix
            )
        return _side_by_side(place, LABEL_SUFFIXES if suffix is None else (suffix,))


def _suffix(images: Path, labels: Path) -> str:
    """What the names of most label maps have more than those of the images."""
    stems = _stems(images, "", IMAGE_EXTENSIONS)
    shared = {s: len(stems & _stems(labels, s, LABEL_EXTENSIONS)) for s in ("", *LABEL_SUFFIXES)}
    return max(shared, key=lambda suffix: shared[suffix])


def _side_by_side(place: Path, suffixes: tuple[str, ...]) -> _Layout | None:
    """The pair of suffixes that most files of a folder have."""
    if not place.is_dir():
        return None
    found = {}
    for image_suffix in _IMAGE_SUFFIXES:
        images = _stems(place, image_suffix, IMAGE_EXTENSIONS)
        for label_suffix in suffixes:
            count = len(images & _stems(place, label_suffix, LABEL_EXTENSIONS))
            found[image_suffix, label_suffix] = count
    best = max(found, key=lambda pair: found[pair])
    return _Layout(place, place, *best) if found[best] else None


def _stems(folder: Path, suffix: str, extensions: tuple[str, ...]) -> set[str]:
    try:
        return set(files_by_stem(folder, suffix, extensions))
    except UserError:  # two files of a stem, which opening the data set tells of
        return set()
