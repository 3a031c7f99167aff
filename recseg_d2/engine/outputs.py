"""What a prediction leaves on the disk.

In the output folder, by name in ``OUTPUTS``, to which any other is added:
    labels      labels/<stem>.png     label map, 8- or 16-bit grey: 0 is background, k the k-th
                                      object found
    coco        predictions.json      COCO's results, and the list of images beside them, see
                                      ``data.coco_results``; image ids are the files' stems
    counts      counts.csv            file, count: how many objects each image has
    overlays    overlays/<stem>.png   the masks over the image
    sequences   sequences/<stem>.png  a panel for every step
    measurements  measurements.csv    see ``data.formats.measurements``
    tif, ome, npy, cellpose, labelme, yolo, geojson, imagej, masks
                                      a file an image in a folder of that name, see ``data.formats``
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from detectron2.structures import Instances

from recseg_d2 import rle
from recseg_d2.data.coco_results import image_of, results_of_instances, save_results
from recseg_d2.data.formats import FileFormat, ImageObjects, SavedObject, file_formats
from recseg_d2.data.formats.measurements import Row, measure, write_rows
from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.engine.journal import Journal
from recseg_d2.files import make_folder, save_image, write_whole
from recseg_d2.postprocess import label_map_of, masks_of
from recseg_d2.visualization import draw_overlay, draw_sequence

NUM_INSTANCES = "num_instances"  # beside the outputs' own, of each image
DEFAULT_OUTPUTS = ("labels", "coco", "counts", "overlays")


class Predicted(Protocol):
    """What was predicted of a file: ``PredictedImage``, or ``stacks.PredictedStack``."""

    @property
    def path(self) -> Path:
        """The file; its stem names what is written."""

    @property
    def count(self) -> int:
        """Objects."""


@dataclass(frozen=True)
class PredictedImage:
    """An image and what was found in it.

    Attributes:
        path: the image's file; its stem names the files.
        rgb: (H, W, 3) uint8, the image.
        instances: on the CPU, masks of the image's size.
        categories: the model's classes, see ``coco_results.categories_of``; empty where they are
            not known.
        ordered: whether the model finds one object after another.
        pixels: (H, W, C) the image's own numbers, for measurements; None takes ``rgb``.
        pixel_size: side of a pixel in micrometres; None where it is not known.
    """

    path: Path
    rgb: np.ndarray
    instances: Instances
    categories: Sequence[dict[str, Any]] = ()
    ordered: bool = True
    pixels: np.ndarray | None = None
    pixel_size: float | None = None

    @property
    def count(self) -> int:
        """Objects."""
        return len(self.instances)

    def objects(self) -> ImageObjects:
        """The instances as files have them."""
        found = self.instances
        count = len(found)
        classes = found.pred_classes.tolist() if found.has("pred_classes") else [0] * count
        scores = found.scores.tolist()
        saved = [
            SavedObject(rle.encode(mask), kind, score)
            for mask, kind, score in zip(masks_of(found), classes, scores, strict=True)
        ]
        names = tuple(str(category["name"]) for category in self.categories) or ("object",)
        return ImageObjects(self.path.name, found.image_size, saved, names)


@dataclass(frozen=True)
class ImageFiles:
    """An output with a file for each image, in a folder of the output's name.

    Attributes:
        ending: ending of the files' names, which tells their format.
        write: function of a predicted image and a path that writes the image's file.
    """

    ending: str
    write: Callable[[Any, Path], None]


@dataclass(frozen=True)
class SummaryFile:
    """An output with one file for all images.

    Attributes:
        name: name of the file in the output folder.
        collect: function that gives what the file needs of a predicted image.
        write: function that writes what was collected of all images to a path.
    """

    name: str
    collect: Callable[[Any], Any]
    write: Callable[[list[Any], Path], None]


Output = ImageFiles | SummaryFile


class PredictionWriter:
    """Writes the predictions of images, one after another.

    Files of an earlier run are overwritten one by one, never removed. What the files of all images
    need is noted image by image, so that a prediction that broke off can be gone on with, and
    several processes can share the images.

    Args:
        folder: the output folder; it is made where it is missing.
        outputs: what to write, names in ``catalog``.
        resume: whether images that an earlier run has done count as done.
        catalog: the outputs by name, ``OUTPUTS`` or ``stacks.STACK_OUTPUTS``; None is the former.

    Raises:
        UserError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | Path,
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
        resume: bool = False,
        catalog: Mapping[str, Output] | None = None,
    ) -> None:
        catalog = OUTPUTS if catalog is None else catalog
        self.folder = make_folder(folder)
        self.num_images = 0
        self.num_instances = 0
        self._outputs = {name: catalog[name] for name in outputs}
        self._journal = Journal(self.folder, resume)
        for name, output in self._outputs.items():
            if isinstance(output, ImageFiles):
                make_folder(self.folder / name)

    def is_done(self, path: Path) -> bool:
        """Whether an earlier run has done this image."""
        return path.stem in self._journal.done

    def add(self, predicted: Predicted) -> None:
        """Write the files of an image, and note what ``finish`` needs of it."""
        collected = {NUM_INSTANCES: predicted.count}
        for name, output in self._outputs.items():
            if isinstance(output, ImageFiles):
                output.write(
                    predicted, self.folder / name / f"{predicted.path.stem}{output.ending}"
                )
            else:
                collected[name] = output.collect(predicted)
        self._journal.add(predicted.path.stem, collected)

    def finish(self, paths: Sequence[Path]) -> None:
        """Write the files of all images together; to be called when all processes are done.

        Args:
            paths: of all images, in the order in which they are to be listed.
        """
        entries = self._journal.entries()
        done = [entries[path.stem] for path in paths if path.stem in entries]
        self.num_images = len(done)
        self.num_instances = sum(entry[NUM_INSTANCES] for entry in done)
        for name, output in self._outputs.items():
            if isinstance(output, SummaryFile):
                kept = [entry[name] for entry in done if name in entry]
                output.write(kept, self.folder / output.name)


def _write_labels(predicted: PredictedImage, path: Path, bits: int | None) -> None:
    write_label_map(path, label_map_of(predicted.instances), bits)


def _write_format(file_format: FileFormat, predicted: PredictedImage, path: Path) -> None:
    file_format.write(predicted.objects(), path)


def _measure(predicted: PredictedImage) -> list[Row]:
    pixels = predicted.rgb if predicted.pixels is None else predicted.pixels
    return measure(predicted.objects(), pixels, predicted.pixel_size)


def _write_measurements(rows: list[list[Row]], path: Path) -> None:
    write_rows((row for of_image in rows for row in of_image), path)


def _draw_overlay(predicted: PredictedImage, path: Path) -> None:
    save_image(path, draw_overlay(predicted.rgb, predicted.instances.pred_masks))


def _draw_sequence(predicted: PredictedImage, path: Path) -> None:
    found = predicted.instances
    figure = draw_sequence(predicted.rgb, found.pred_masks, found.scores, found.step)
    save_image(path, figure)


def _count(predicted: Predicted) -> tuple[str, int]:
    return predicted.path.name, predicted.count


def _write_counts(rows: list[tuple[str, int]], path: Path) -> None:
    with write_whole(path) as file:
        csv.writer(file).writerows([("file", "count"), *rows])


def _coco(predicted: PredictedImage) -> tuple[Any, ...]:
    path, found, categories = predicted.path, predicted.instances, predicted.categories
    image = image_of({"image_id": path.stem, "file_name": path.name}, found.image_size)
    return image, results_of_instances(path.stem, found, categories, predicted.ordered), categories


def _write_coco(kept: list[tuple[Any, ...]], path: Path) -> None:
    images, entries, categories = zip(*kept, strict=True) if kept else ((), (), ((),))
    save_results(path, [entry for found in entries for entry in found], images, categories[0])


COUNTS = SummaryFile("counts.csv", _count, _write_counts)
MEASUREMENTS = SummaryFile("measurements.csv", _measure, _write_measurements)


def outputs_with(bits: int | None = None) -> dict[str, Output]:
    """The outputs by name, with label maps of so many bits; see ``data.formats.file_formats``."""
    return {
        "labels": ImageFiles(".png", partial(_write_labels, bits=bits)),
        "coco": SummaryFile("predictions.json", _coco, _write_coco),
        "counts": COUNTS,
        "overlays": ImageFiles(".png", _draw_overlay),
        "sequences": ImageFiles(".png", _draw_sequence),
        "measurements": MEASUREMENTS,
        **{
            name: ImageFiles(file_format.ending, partial(_write_format, file_format))
            for name, file_format in file_formats(bits).items()
            if name != "png"  # which "labels" is
        },
    }


OUTPUTS = outputs_with()
