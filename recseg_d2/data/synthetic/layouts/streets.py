"""Streets as Cityscapes and KITTI distribute their data.

The images have the official proportions, scaled down to the height that is asked for. Test sets
are written with the validation sets, as many images, none of which is in both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.data.io.lists import write_list
from recseg_d2.data.sources.instance_ids import KITTI_DIVISOR
from recseg_d2.data.synthetic.layouts.drawn import write_image
from recseg_d2.data.synthetic.road_users import SHAPES
from recseg_d2.data.synthetic.streets import INSTANCE_DIVISOR, StreetScene, draw_street
from recseg_d2.files import make_folder, save_text

CITYSCAPES_ASPECT, KITTI_ASPECT = 2048 / 1024, 1242 / 375  # width over height
TEST_SEEDS = 10_000_000  # how far a test image's seed is from that of a validation image

_CITIES = {
    "train": ("aachen", "bochum"),
    "val": ("frankfurt", "lindau"),
    "test": ("berlin", "bonn"),
}
_FRAME = 19  # the annotated one of a sequence
_CAR_LISTS = {  # and the folder of the label maps
    "train": ("train.txt", "gt"),
    "val": ("valid_man.txt", "gt_man"),
    "test": ("test_man.txt", "gt_man"),
}


def write_cityscapes(out: Path, part: str, seeds: list[int], size: int) -> None:
    """leftImg8bit/, gtFine/, disparity/ and camera/, each <split>/<city>/<city>_<n>_<frame>_*.

    gtFine/ has instanceIds and labelIds, and nothing for the test set.
    """
    for split, scenes in _by_split(part, seeds, size, CITYSCAPES_ASPECT):
        for number, scene in enumerate(scenes):
            city = _CITIES[split][number % len(_CITIES[split])]
            stem = f"{split}/{city}/{city}_{number:06d}_{_FRAME:06d}"
            write_image(out / "leftImg8bit" / f"{stem}_leftImg8bit.png", scene.image)
            write_image(out / "disparity" / f"{stem}_disparity.png", scene.disparity)
            camera = out / "camera" / f"{stem}_camera.json"
            save_text(camera, json.dumps(scene.camera, indent=4))
            if split != "test":
                write_image(out / "gtFine" / f"{stem}_gtFine_instanceIds.png", scene.ids)
                write_image(out / "gtFine" / f"{stem}_gtFine_labelIds.png", label_ids(scene.ids))


def write_kitti(out: Path, part: str, seeds: list[int], size: int) -> None:
    """images/, gt/ or gt_man/ with label maps of the cars, and the list of each split."""
    images = make_folder(out / "images")
    for split, scenes in _by_split(part, seeds, size, KITTI_ASPECT):
        list_name, folder = _CAR_LISTS[split]
        labels = make_folder(out / folder)
        first, names = len(list(images.iterdir())), []
        for number, scene in enumerate(scenes, start=first):
            names.append(f"{number:06d}")
            write_image(images / f"{names[-1]}.png", scene.image)
            write_label_map(labels / f"{names[-1]}.png", car_labels(scene.ids))
        write_list(out / list_name, names)


def write_kitti2015(out: Path, part: str, seeds: list[int], size: int) -> None:
    """training/{image_2,instance,semantic}/, and testing/image_2/ from the validation seeds."""
    folder = out / ("training" if part == "train" else "testing")
    for number, scene in enumerate(_scenes(seeds, size, KITTI_ASPECT)):
        name = f"{number:06d}_10.png"
        write_image(folder / "image_2" / name, scene.image)
        if part == "train":
            write_image(folder / "instance" / name, kitti_ids(scene.ids))
            write_image(folder / "semantic" / name, label_ids(scene.ids))


def label_ids(ids: np.ndarray) -> np.ndarray:
    """(H, W) uint8 classes of Cityscapes' instance ids."""
    return np.where(ids >= INSTANCE_DIVISOR, ids // INSTANCE_DIVISOR, ids).astype(np.uint8)


def kitti_ids(ids: np.ndarray) -> np.ndarray:
    """(H, W) uint16, Cityscapes' instance ids in KITTI's numbers; instances count from 1 there."""
    instance = np.where(ids >= INSTANCE_DIVISOR, ids % INSTANCE_DIVISOR + 1, 0)
    return (label_ids(ids).astype(np.int64) * KITTI_DIVISOR + instance).astype(np.uint16)


def car_labels(ids: np.ndarray) -> np.ndarray:
    """(H, W) int64 label map of the cars in Cityscapes' instance ids: 0, 1, 2, ..."""
    cars = np.where(ids // INSTANCE_DIVISOR == SHAPES["car"].label_id, ids, 0)
    values, labels = np.unique(cars, return_inverse=True)
    return labels.reshape(ids.shape) + int(values[0] > 0)


def _by_split(
    part: str, seeds: list[int], size: int, aspect: float
) -> Iterator[tuple[str, Iterator[StreetScene]]]:
    yield part, _scenes(seeds, size, aspect)
    if part == "val":
        yield "test", _scenes([seed + TEST_SEEDS for seed in seeds], size, aspect)


def _scenes(seeds: list[int], height: int, aspect: float) -> Iterator[StreetScene]:
    for seed in seeds:
        yield draw_street(seed, (height, round(aspect * height)))
