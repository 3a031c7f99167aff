"""KITTI cars, as Ren & Zemel 2017 used them.

Names ``recseg_kitti_{train,val,test}``, read from ``$DETECTRON2_DATASETS`` (default ``datasets``)
when they are first used:

    kitti/images/NNNNNN.png      KITTI's object images
    kitti/gt/NNNNNN.png          label maps of the cars, automatic; of the images in train.txt
    kitti/gt_man/NNNNNN.png      label maps, by hand; of those in valid_man.txt and test_man.txt
    kitti/train.txt, valid_man.txt, test_man.txt      an image a line; 3712, 120, 144 in the paper

A label map is any that ``label_io`` reads: a number or a colour for each car.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.datasets.labelled_images import LabelledImage, LabelledImages, check_files
from recseg_d2.data.label_io import read_label_map
from recseg_d2.errors import UserError

# split: its list, the folder of its label maps
SPLITS = {
    "train": ("train.txt", "gt"),
    "val": ("valid_man.txt", "gt_man"),
    "test": ("test_man.txt", "gt_man"),
}
CAR_METRICS = ("mwcov", "mucov", "avgfp", "avgfn", "dic")  # of the paper's table 3, and the count

_DIGITS = 6  # of an image's number in its file name
_HOW_TO_GET = (
    "The images are those of KITTI's object detection (www.cvlibs.net/datasets/kitti); the labels "
    "and the lists are those of Chen et al. 2014 (automatic) and Zhang et al. 2015 (by hand), to "
    "be had from their authors. Set DETECTRON2_DATASETS to the folder above kitti/, or write a "
    "synthetic set: recseg make-dataset kitti {root}."
)


def register_kitti_cars(name: str, root: str | Path, split: str) -> None:
    """Register a split of the KITTI cars: one class, scored as in the paper.

    Args:
        name: for the catalogs.
        root: has images/, gt/, gt_man/ and the lists.
        split: one of ``SPLITS``.

    Raises:
        UserError: the split is unknown.
    """
    if split not in SPLITS:
        raise UserError(f"KITTI cars: found split {split!r}, expected one of {', '.join(SPLITS)}.")
    source = LabelledImages(
        name=name,
        find=partial(find_files, Path(root), split),
        read=read_label_map,
        annotate=label_map_to_annotations,
    )
    DatasetCatalog.register(name, source)
    MetadataCatalog.get(name).set(
        thing_classes=["car"],
        evaluator_type="leaf",
        metrics=CAR_METRICS,
        image_root=str(Path(root) / "images"),
    )


def find_files(root: Path, split: str) -> list[LabelledImage]:
    """The files of a split, in the order of its list.

    Raises:
        UserError: the list, an image or a label map is missing, or the list is no such list.
    """
    list_name, label_folder = SPLITS[split]
    files = [
        LabelledImage(n, root / "images" / f"{n}.png", root / label_folder / f"{n}.png")
        for n in read_list(root / list_name)
    ]
    check_files(files, root / list_name, _HOW_TO_GET.format(root=root))
    return files


def read_list(path: Path) -> list[str]:
    """Names of the images in a list.

    Args:
        path: an image a line: its number, or its file with or without folder and ending.

    Returns:
        stems, such as "000012".

    Raises:
        UserError: there is no such file, nothing in it, or an image twice.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such list; expected the images of the split, one a line, such as 000012. "
            f"{_HOW_TO_GET.format(root=path.parent)}"
        )
    entries = (line.split()[0] for line in path.read_text().splitlines() if line.strip())
    stems = [Path(entry).stem for entry in entries]
    names = [stem.zfill(_DIGITS) if stem.isdecimal() else stem for stem in stems]
    if not names:
        raise UserError(f"{path}: found no image, expected one a line, such as 000012.")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise UserError(f"{path}: found {name} {times} times, expected every image once.")
    return names


def register_builtin() -> None:
    """Register the names in the module's docstring; nothing is read until they are used."""
    root = Path(os.environ.get("DETECTRON2_DATASETS", "datasets")) / "kitti"
    for split in SPLITS:
        register_kitti_cars(f"recseg_kitti_{split}", root, split)
