"""What leaves the page: files to download, and a data set of corrected images."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from recseg_d2.app.correcting import CorrectedImage
from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.engine.outputs import OUTPUTS, ImageFiles, PredictedImage, PredictionWriter
from recseg_d2.files import write_whole

# What is offered, and the library that it needs.
_DOWNLOADS = {"tif": "", "coco": "", "imagej": "roifile", "measurements": "skimage"}
_BITS = 16  # of label maps in the data set


def write_downloads(folder: Path, predicted: PredictedImage) -> list[Path]:
    """Write an image's objects as ``recseg predict`` does.

    Args:
        folder: where the files go.
        predicted: the image and its objects.

    Returns:
        The files: a label map (TIFF), COCO's results, ImageJ's ROIs and a table of measurements;
        the last two where roifile and scikit-image are installed.
    """
    names = [name for name, library in _DOWNLOADS.items() if not library or _is_there(library)]
    writer = PredictionWriter(folder, names)
    writer.add(predicted)
    writer.finish([predicted.path])
    return [folder / _file_of(name, predicted.path.stem) for name in names]


def save_correction(folder: Path, image: CorrectedImage) -> Path:
    """Put an image and its label map into a data set, ``images/`` and ``labels/``.

    The same image again replaces its label map; another image of the same name gets a name of its
    own.

    Args:
        folder: of the data set; it is made where it is missing.
        image: with its objects.

    Returns:
        The label map's file.

    Raises:
        UserError: the files cannot be written there.
    """
    name = _free_name(folder / "images", image.path, image.content)
    labels = folder / "labels" / f"{Path(name).stem}.png"
    with write_whole(folder / "images" / name, "wb") as file:
        file.write(image.content)
    labels.parent.mkdir(exist_ok=True)
    write_label_map(labels, image.label_map(), _BITS)
    return labels


def _free_name(folder: Path, path: Path, content: bytes) -> str:
    """The image's name, with a number where images of that stem and other content are there."""
    number, stem = 1, path.stem
    while taken := [other for other in folder.glob("*") if other.stem == stem]:
        if any(other.read_bytes() == content for other in taken):
            return taken[0].name
        number += 1
        stem = f"{path.stem}_{number}"
    return stem + path.suffix


def _file_of(name: str, stem: str) -> Path:
    output = OUTPUTS[name]
    if isinstance(output, ImageFiles):
        return Path(name, f"{stem}{output.ending}")
    return Path(output.name)


def _is_there(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
