"""Predictions in the submission format of the Cityscapes benchmark.

One folder for all images, as the official scripts and the evaluation server read it::

    <city>_NNNNNN_NNNNNN_pred.txt        a line an instance: <mask file> <label id> <score>
    <city>_NNNNNN_NNNNNN_<number>.png    its mask at the image's size, not 0 inside, 1 bit deep
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recseg_d2.data.io.image_files import open_image
from recseg_d2.errors import UserError
from recseg_d2.evaluation.bit_png import read_bitmap, write_bitmap
from recseg_d2.files import make_folder, save_text
from recseg_d2.metrics.cityscapes_matching import Crop, crop_mask

_LIST_ENDING = "_pred.txt"


@dataclass(frozen=True)
class SubmittedMask:
    """A line of a list.

    Attributes:
        path: the mask's image file.
        label_id: Cityscapes' label id of the class.
        score: confidence, any finite number, the greater the more certain.
    """

    path: Path
    label_id: int
    score: float


def write_submission(
    folder: str | Path,
    image: str,
    label_ids: Sequence[int],
    scores: Sequence[float],
    masks: Iterable[np.ndarray],
) -> Path:
    """Write the predictions of an image, in place of earlier ones of the same image.

    Args:
        folder: the submission's folder; it is made where it is missing.
        image: name of the image, <city>_NNNNNN_NNNNNN.
        label_ids: (P,) Cityscapes' label id of each prediction.
        scores: (P,)
        masks: (P, H, W) bool, or P masks of (H, W) bool.

    Returns:
        The list's path.

    Raises:
        UserError: the name has a space, or the folder cannot be written into.
    """
    if any(character.isspace() for character in image):
        raise UserError(f"Found the image name {image!r}; the submission format allows no spaces.")
    folder = make_folder(folder)
    for old in folder.glob(f"{image}_*.png"):
        if old.stem.removeprefix(f"{image}_").isdigit():
            old.unlink()
    lines = []
    for number, (label, score, mask) in enumerate(zip(label_ids, scores, masks, strict=True)):
        name = f"{image}_{number:03d}.png"
        write_bitmap(folder / name, np.asarray(mask, dtype=bool))
        lines.append(f"{name} {int(label)} {float(score)!r}\n")
    path = folder / f"{image}{_LIST_ENDING}"
    save_text(path, "".join(lines))
    return path


def submission_lists(folder: str | Path) -> list[Path]:
    """All lists in a folder and those below it, sorted.

    Raises:
        UserError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder, expected one with a submission's lists.")
    return sorted(folder.rglob("*.txt"))


def list_of_image(lists: Sequence[Path], image: str) -> Path:
    """The list of an image; any ending between its name and ".txt" will do.

    Args:
        lists: the lists of predictions in the submission, from ``submission_lists``.
        image: name of the image, <city>_NNNNNN_NNNNNN.

    Raises:
        UserError: there is none, or more than one.
    """
    found = [path for path in lists if path.name.startswith(image)]
    if len(found) != 1:
        names = ", ".join(map(str, found)) or "none"
        raise UserError(
            f"Submission: found {names} for image {image}, expected one {image}*.txt; an image "
            "without predictions has an empty one."
        )
    return found[0]


def read_submission(path: str | Path) -> list[SubmittedMask]:
    """Read a list; of several lines with the same mask the last one counts, as in the scripts.

    Raises:
        UserError: a line has another form, or names a mask outside the list's folder.
    """
    path = Path(path)
    masks: dict[Path, SubmittedMask] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        mask = _parse(path, number, line)
        masks[mask.path] = mask
    return list(masks.values())


def read_mask(path: str | Path, shape: tuple[int, int]) -> Crop:
    """Read a mask of any depth; what a conversion to grey leaves black is outside.

    Args:
        path: the mask's image file.
        shape: the expected height and width.

    Raises:
        UserError: the file cannot be read, or is of another size.
    """
    bitmap = read_bitmap(path) if os.path.isfile(path) else None
    size, crop = _from_pillow(path) if bitmap is None else _from_bitmap(*bitmap)
    if size != shape:
        raise UserError(
            f"{path}: found {size[1]}x{size[0]} pixels, expected {shape[1]}x{shape[0]} as the "
            "ground truth; masks are evaluated at the image's own size."
        )
    return crop


def _from_bitmap(width: int, rows: np.ndarray) -> tuple[tuple[int, int], Crop]:
    """Height and width, and the mask; only the bytes of its box are unpacked."""
    packed = crop_mask(rows)
    bits = np.unpackbits(packed.mask, axis=1)[:, : width - 8 * packed.left]
    inside = crop_mask(bits.view(bool))
    top, left = packed.top + inside.top, 8 * packed.left + inside.left
    return (len(rows), width), Crop(top, left, inside.mask)


def _from_pillow(path: str | Path) -> tuple[tuple[int, int], Crop]:
    with open_image(path) as file:
        grey = file.convert("L")
    box = grey.getbbox() or (0, 0, 0, 0)
    pixels = np.asarray(grey.crop(box)) if box[2] else np.zeros((0, 0), np.uint8)
    return (grey.height, grey.width), Crop(box[1], box[0], pixels > 0)


def _parse(path: Path, number: int, line: str) -> SubmittedMask:
    where = f"{path}, line {number}"
    parts = line.split(" ")
    try:
        name, label, score = parts[0], int(float(parts[1])), float(parts[2])
    except (IndexError, ValueError) as error:
        raise UserError(_expected(where, line)) from error
    if len(parts) != 3 or not math.isfinite(score):
        raise UserError(_expected(where, line))
    root = os.path.abspath(path.parent)
    mask = Path(os.path.abspath(os.path.join(root, name)))
    if os.path.isabs(name) or not mask.is_relative_to(root):
        raise UserError(f"{where}: found the mask {name}, expected a path in {path.parent}.")
    return SubmittedMask(mask, label, score)


def _expected(where: str, line: str) -> str:
    return (
        f"{where}: found {line!r}, expected <mask file> <label id> <score>, with single spaces and "
        "a finite score."
    )
