"""Which images an experiment takes, as its own copies.

A folder of data has train/ and val/, each with images/ and labels/: files of the same stem, label
maps in any form that the package reads. Copies are 8-bit RGB and 16-bit label maps in PNG, which
every peer reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from recseg_d2.data.io.label_maps import read_label_map
from recseg_d2.data.synthetic.rosettes import draw_rosette
from recseg_d2.errors import UserError
from recseg_d2.metrics.overlap import relabel_consecutively

PARTS = ("train", "val")
FIRST_ROSETTES = {"train": 0, "val": 1_000_000}  # seeds, as of the built-in data sets


@dataclass(frozen=True)
class Selection:
    """Which images, and at what size.

    Attributes:
        objects: fewest and most objects of an image, after scaling; None takes all images.
        images: how many training images, the first ones in an order drawn by ``seed``; None is all.
        seed: of that order, such that 30 images are among 100.
        scale: factor of height and width.
    """

    objects: tuple[int, int] | None = None
    images: int | None = None
    seed: int = 0
    scale: float = 1.0


def copy_selected(data: Path, out: Path, selection: Selection) -> dict[str, int]:
    """Copy what is selected of a folder.

    Args:
        data: has train/ and val/.
        out: train/ and val/ are written into it.
        selection: the images.

    Returns:
        The number of images in train and val.

    Raises:
        UserError: a part is missing, or nothing in it is selected, or it has too few images.
    """
    counts = {}
    for part in PARTS:
        stems = [path.stem for path in label_files(data / part)]
        chosen = shuffled(stems, selection.seed) if part == "train" else stems
        most = selection.images if part == "train" else None
        written = 0
        for image, labels, stem in _selected(data / part, chosen, selection):
            if written == most:
                break
            write_pair(out / part, stem, image, labels)
            written += 1
        if written < (most or 1):
            raise UserError(
                f"{data / part}: found {written} images that are selected, expected {most or 1} "
                "or more; change --images or --objects."
            )
        counts[part] = written
    return counts


def draw_rosettes(out: Path, images: dict[str, int], size: int, spread: float) -> dict[str, int]:
    """Write rosettes of the package's own generator; the arguments are those of ``draw_rosette``.

    Args:
        out: train/ and val/ are written into it.
        images: how many in train and val; the same seeds as the built-in data sets.
        size: side in pixels.
        spread: share of the full turn over which the leaves fan out.
    """
    for part, count in images.items():
        for seed in range(FIRST_ROSETTES[part], FIRST_ROSETTES[part] + count):
            image, labels = draw_rosette(seed, size, spread=spread)
            write_pair(out / part, f"rosette_{seed:07d}", image, labels)
    return images


def label_files(folder: Path) -> list[Path]:
    """The label maps of a part, sorted by name.

    Raises:
        UserError: there is none.
    """
    files = sorted(path for path in (folder / "labels").glob("*") if path.is_file())
    if not files:
        raise UserError(f"{folder / 'labels'}: found no label map; expected files like images/.")
    return files


def shuffled(names: Sequence[str], seed: int) -> list[str]:
    """The names in an order that only depends on them and the seed."""
    order = np.random.default_rng(seed).permutation(len(names))
    return [sorted(names)[k] for k in order]


def resized(image: np.ndarray, labels: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Both at another size: the image by the mean of areas, labels by nearest neighbour.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) integers.
        scale: factor of both sides, at most 1.
    """
    if scale == 1:
        return image, labels
    height, width = (max(1, round(n * scale)) for n in labels.shape)
    smaller = Image.fromarray(image).resize((width, height), Image.Resampling.BOX)
    nearest = Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(smaller), np.asarray(nearest)


def write_pair(folder: Path, stem: str, image: np.ndarray, labels: np.ndarray) -> None:
    """Write images/<stem>.png and labels/<stem>.png with labels 1, 2, ..."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    consecutive, _ = relabel_consecutively(labels)
    Image.fromarray(image).save(folder / "images" / f"{stem}.png")
    Image.fromarray(consecutive.astype(np.uint16)).save(folder / "labels" / f"{stem}.png")


def _selected(
    folder: Path, stems: Sequence[str], selection: Selection
) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Image, label map and stem of those with the right number of objects."""
    files = {path.stem: path for path in label_files(folder)}
    images = {path.stem: path for path in (folder / "images").glob("*")}
    for stem in stems:
        labels = read_label_map(files[stem])
        if stem not in images:
            raise UserError(f"{folder / 'images'}: found no image for {files[stem].name}.")
        with Image.open(images[stem]) as image:
            pixels, labels = resized(np.asarray(image.convert("RGB")), labels, selection.scale)
        low, high = selection.objects or (0, np.inf)
        if low <= relabel_consecutively(labels)[1] <= high:
            yield pixels, labels, stem
