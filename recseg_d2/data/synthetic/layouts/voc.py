"""Scenes as Pascal VOC 2012 and SBD distribute their data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recseg_d2.data.sources.voc import VOC_CLASSES, VOID
from recseg_d2.data.synthetic.layouts.drawn import Scene, numbered_scenes, write_image
from recseg_d2.files import make_folder, save_text, write_whole

VOC, SBD = Path("VOC2012"), Path("benchmark_RELEASE") / "dataset"
# A shape's class takes the part of one of VOC's; the first shape is the person, which RSIS reports.
ROLES = ("person", "car", "dog", "chair", "bottle", "train")

_YEARS = {"train": 2008, "val": 2009}
# Of every three images one has the masks of both, one those of SBD alone, one those of VOC alone.
_ONLY_SBD, _ONLY_VOC = 2, 0


def write_voc(out: Path, part: str, seeds: list[int], size: int) -> None:
    """VOC2012/{JPEGImages,SegmentationObject,SegmentationClass,ImageSets} and benchmark_RELEASE.

    ``out`` is what ``$DETECTRON2_DATASETS`` is to be. VOC's outlines are void, as in the original.
    """
    stems: dict[str, list[str]] = {"voc": [], "sbd": [], "all": []}
    for scene in numbered_scenes(seeds, size):
        stem = f"{_YEARS[part]}_{scene.number:06d}"
        stems["all"].append(stem)
        write_image(out / VOC / "JPEGImages" / f"{stem}.jpg", scene.image)
        if scene.number % 3 != _ONLY_SBD:
            stems["voc"].append(stem)
            _write_masks(scene, out / VOC, stem)
        if scene.number % 3 != _ONLY_VOC:
            stems["sbd"].append(stem)
            write_image(out / SBD / "img" / f"{stem}.jpg", scene.image)
            _write_mat(scene, out / SBD, stem)
    lists = make_folder(out / VOC / "ImageSets" / "Segmentation")
    _write_list(lists / f"{part}.txt", stems["voc"])
    _write_list(lists / "trainval.txt", stems["voc"])
    _write_list(make_folder(out / VOC / "ImageSets" / "Main") / f"{part}.txt", stems["all"])
    _write_list(out / SBD / f"{part}.txt", stems["sbd"])


def _write_masks(scene: Scene, root: Path, stem: str) -> None:
    classes = _class_map(scene)
    outline = _outline(scene.labels)
    for kind, values in (("Object", scene.labels), ("Class", classes)):
        pixels = np.where(outline, VOID, values).astype(np.uint8)
        write_image(root / f"Segmentation{kind}" / f"{stem}.png", pixels, with_palette=True)


def _write_mat(scene: Scene, root: Path, stem: str) -> None:
    """``GTinst`` and ``GTcls``; their Boundaries, which nothing here reads, are left out."""
    from scipy.io import savemat  # takes a third of a second, which other layouts need not wait

    numbers = np.array([[_number(c)] for c in scene.classes], np.uint8)
    instances = {"Segmentation": scene.labels, "Categories": numbers}
    classes = {"Segmentation": _class_map(scene), "CategoriesPresent": np.unique(numbers)[:, None]}
    for kind, struct in (("inst", instances), ("cls", classes)):
        with write_whole(root / kind / f"{stem}.mat", "wb", durable=False) as file:
            savemat(file, {f"GT{kind}": struct})


def _class_map(scene: Scene) -> np.ndarray:
    """(H, W) uint8: 1 to 20 where there is an object."""
    return np.array([0, *map(_number, scene.classes)], np.uint8)[scene.labels]


def _number(shape: int) -> int:
    return VOC_CLASSES.index(ROLES[shape % len(ROLES)]) + 1


def _outline(labels: np.ndarray) -> np.ndarray:
    """(H, W) bool: background beside an object, and the first pixel where two objects meet."""
    padded = np.pad(labels, 1, mode="edge")
    below, right = padded[2:, 1:-1], padded[1:-1, 2:]
    above, left = padded[:-2, 1:-1], padded[1:-1, :-2]
    around = (below, right, above, left)
    beside = (labels == 0) & np.any([n > 0 for n in around], axis=0)
    return beside | ((labels > 0) & ((below > labels) | (right > labels)))


def _write_list(path: Path, stems: list[str]) -> None:
    """Append, so that trainval is train and val."""
    before = path.read_text() if path.is_file() else ""
    save_text(path, before + "".join(f"{stem}\n" for stem in stems))
