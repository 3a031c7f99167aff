"""Synthetic rosettes as files, in the layouts of well-known data sets.

May use: numpy, PIL, h5py, detectron2.structures, this package.

For trying a data set's loader, its configs and the tools without the data itself.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.label_io import write_label_map
from recseg_d2.data.rosettes import draw_rosette
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder

_HUE_STEP = (5**0.5 - 1) / 2  # the golden ratio keeps the hues of neighbouring labels apart
_JPEG_QUALITY = 95


def export_rosettes(
    layout: str, out: str | Path, train_seeds: Sequence[int], val_seeds: Sequence[int], size: int
) -> None:
    """Write rosettes as a data set.

    Args:
        layout: one of ``LAYOUTS``
            label_maps: {train,val}/{images,labels}/rosette_NNNNNN.png
            cvppp: A1/plantNNN_{rgb,label}.png and A1_test/plantNNN_rgb.png
            cvppp_h5: CVPPP2017_training_{images,truth}.h5 and CVPPP2017_testing_images.h5
            coco: {train,val}2017/NNNNNNNNNNNN.jpg and annotations/instances_{train,val}2017.json
        out: a folder, empty or not there yet.
        train_seeds: rosettes for training, one image each.
        val_seeds: rosettes for validation, or the test set of CVPPP, one image each.
        size: side of the images in pixels.

    Raises:
        UserError: the layout is unknown, or ``out`` has something in it.
    """
    out = Path(out)
    if layout not in LAYOUTS:
        raise UserError(f"layout: found {layout!r}, expected one of {', '.join(LAYOUTS)}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not an empty folder; name a new one, or empty it.")
    for part, seeds in (("train", train_seeds), ("val", val_seeds)):
        LAYOUTS[layout](out, part, list(seeds), size)


def _write_label_maps(out: Path, part: str, seeds: list[int], size: int) -> None:
    images, labels = make_folder(out / part / "images"), make_folder(out / part / "labels")
    for number, image, label_map in _numbered(seeds, size):
        Image.fromarray(image).save(images / f"rosette_{number:06d}.png")
        write_label_map(labels / f"rosette_{number:06d}.png", label_map)


def _write_cvppp(out: Path, part: str, seeds: list[int], size: int) -> None:
    folder = make_folder(out / ("A1" if part == "train" else "A1_test"))
    for number, image, label_map in _numbered(seeds, size):
        Image.fromarray(image).save(folder / f"plant{number:03d}_rgb.png")
        if part == "train":
            indexed = Image.fromarray(label_map)
            indexed.putpalette(_palette())
            indexed.save(folder / f"plant{number:03d}_label.png")


def _write_cvppp_h5(out: Path, part: str, seeds: list[int], size: int) -> None:
    try:
        import h5py
    except ImportError as error:
        raise UserError("layout cvppp_h5 needs h5py; run `pip install recseg_d2[hdf5]`.") from error
    name = "training" if part == "train" else "testing"
    with h5py.File(make_folder(out) / f"CVPPP2017_{name}_images.h5", "w") as images:
        for number, image, _ in _numbered(seeds, size):
            plant = images.create_group(f"A1/plant{number:03d}")
            plant["rgb"] = image
            plant["rgb_filename"] = f"plant{number:03d}_rgb.png"
    if part == "train":
        with h5py.File(out / "CVPPP2017_training_truth.h5", "w") as truth:
            for number, _, label_map in _numbered(seeds, size):
                plant = truth.create_group(f"A1/plant{number:03d}")
                plant["label"] = label_map
                plant["label_filename"] = f"plant{number:03d}_label.png"


def _write_coco(out: Path, part: str, seeds: list[int], size: int) -> None:
    folder = make_folder(out / f"{part}2017")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image, label_map in _numbered(seeds, size):
        file_name = f"{number:012d}.jpg"
        Image.fromarray(image).save(folder / file_name, quality=_JPEG_QUALITY)
        images.append({"id": number, "file_name": file_name, "height": size, "width": size})
        for record in label_map_to_annotations(label_map):
            annotations.append(_coco_annotation(record, number, len(annotations) + 1))
    contents = {
        "info": {"description": "synthetic rosettes"},
        "licenses": [],
        "categories": [{"id": 1, "name": "leaf", "supercategory": "plant"}],
        "images": images,
        "annotations": annotations,
    }
    path = make_folder(out / "annotations") / f"instances_{part}2017.json"
    path.write_text(json.dumps(contents))


LAYOUTS: dict[str, Callable[[Path, str, list[int], int], None]] = {
    "label_maps": _write_label_maps,
    "cvppp": _write_cvppp,
    "cvppp_h5": _write_cvppp_h5,
    "coco": _write_coco,
}


def _numbered(seeds: list[int], size: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(1, 2, ..., image, label map)."""
    for number, seed in enumerate(seeds, start=1):
        image, labels = draw_rosette(seed, size)
        yield number, image, labels


def _coco_annotation(record: dict[str, Any], image_id: int, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": record["bbox"],
        "area": int(coco_mask.area(record["segmentation"])),
        "segmentation": record["segmentation"],
        "iscrowd": 0,
    }


def _palette() -> list[int]:
    """256 colours, the first of them black."""
    hues = (np.arange(1, 256) * _HUE_STEP) % 1
    colours = [colorsys.hsv_to_rgb(hue, 0.75, 1.0) for hue in hues]
    return [0, 0, 0, *(round(255 * channel) for colour in colours for channel in colour)]
