"""Small data sets of the kinds that people have, made in a test.

Three images of 64x48 pixels, a0 to a2, with four squares each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recseg_d2.data.sources.own_data import open_own_data

HEIGHT, WIDTH = 48, 64
CORNERS = ((2, 2), (34, 2), (2, 26), (34, 26))  # x, y of each square
SIDES = (27, 19)  # width, height
NAMES = ("a0", "a1", "a2")


def square(number: int) -> np.ndarray:
    """The (H, W) bool mask of a square."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    x, y = CORNERS[number]
    mask[y : y + SIDES[1], x : x + SIDES[0]] = True
    return mask


def label_map() -> np.ndarray:
    """(H, W) uint8, the squares as 1 to 4."""
    return sum((n + 1) * square(n).astype(np.uint8) for n in range(len(CORNERS)))


def picture(seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: bright squares on noise."""
    noise = np.random.default_rng(seed).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return noise + 150 * (label_map() > 0).astype(np.uint8)[..., None]


def polygon(number: int) -> list[float]:
    """The outline of a square, as COCO has it."""
    (x, y), (w, h) = CORNERS[number], SIDES
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def coco(folder: Path, change: Callable[[dict[str, Any]], None] = lambda contents: None) -> Path:
    """Write the images and an annotation file of polygons that ``change`` has spoilt."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    for seed, name in enumerate(NAMES):
        Image.fromarray(picture(seed)).save(folder / "images" / f"{name}.png")
    objects = [
        {
            "id": 4 * image + number + 1, "image_id": image + 1, "category_id": 1, "iscrowd": 0,
            "bbox": [*CORNERS[number], *SIDES], "area": SIDES[0] * SIDES[1],
            "segmentation": [polygon(number)],
        }
        for image in range(len(NAMES))
        for number in range(len(CORNERS))
    ]  # fmt: skip
    contents = {
        "images": [
            {"id": n + 1, "file_name": f"{name}.png", "height": HEIGHT, "width": WIDTH}
            for n, name in enumerate(NAMES)
        ],
        "annotations": objects,
        "categories": [{"id": 1, "name": "leaf"}],
    }
    change(contents)
    path = folder / "annotations" / "instances_train.json"
    path.write_text(json.dumps(contents))
    return path


def label_folder(
    folder: Path,
    labels: np.ndarray | None = None,
    save: Callable[[Path, np.ndarray], None] | None = None,
    ending: str = ".png",
) -> Path:
    """Write images/ and labels/ with one label map for all; ``save`` writes it in another form."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    found = label_map() if labels is None else labels
    for seed, name in enumerate(NAMES):
        Image.fromarray(picture(seed)).save(folder / "images" / f"{name}.png")
        path = folder / "labels" / f"{name}{ending}"
        if save is None:
            Image.fromarray(found).save(path)
        else:
            save(path, found)
    return folder


def load(place: Path, **options: Any) -> list[dict[str, Any]]:
    """The standard dicts of own data, as training gets them."""
    return open_own_data("user_files", place, **options)()


def found_problems(place: Path, **options: Any) -> list[str]:
    """The messages of check-dataset on what its source finds."""
    return [p.message for p in open_own_data("user_files", place, **options).survey()[1]]
