"""What a prediction leaves on the disk.

In the output folder, each kind by its name in ``OUTPUTS``:
    labels      labels/<stem>.png     label map, 8- or 16-bit grey: 0 is background, k the k-th
                                      object found
    coco        predictions.json      COCO's results, and the list of images beside them, see
                                      ``data.coco_results``; image ids are the files' stems
    counts      counts.csv            file, count: how many objects each image has
    overlays    overlays/<stem>.png   the masks over the image
    sequences   sequences/<stem>.png  a panel for every step

To add a kind: a subclass of ``Output`` and a line in ``OUTPUTS``.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.structures import Instances

from recseg_d2.data.coco_results import Entry, image_of, results_of_instances, save_results
from recseg_d2.data.label_io import write_label_map
from recseg_d2.files import make_folder
from recseg_d2.postprocess import label_map_of
from recseg_d2.visualization import draw_overlay, draw_sequence

DEFAULT_OUTPUTS = ("labels", "coco", "counts", "overlays")


@dataclass(frozen=True)
class PredictedImage:
    """An image and what was found in it.

    Attributes:
        path: of the image; its stem names the files.
        image: (H, W, 3) uint8 BGR.
        instances: on the CPU, masks of the image's size.
    """

    path: Path
    image: np.ndarray
    instances: Instances


@dataclass(frozen=True)
class Source:
    """What the predictions of all images have in common.

    Attributes:
        categories: of the model's classes, see ``coco_results.categories_of``; empty where they are
            not known.
        ordered: whether the model finds one object after another.
    """

    categories: Sequence[dict[str, Any]] = ()
    ordered: bool = True


class Output:
    """One kind of output, of all images.

    Args:
        folder: of all kinds; it is there.
        source: of the predictions.

    Raises:
        UserError: a folder cannot be made.
    """

    def __init__(self, folder: Path, source: Source) -> None:
        self.folder = folder
        self.source = source

    def add(self, predicted: PredictedImage) -> None:
        """Write what there is of an image, or keep it for ``finish``."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write what there is of all images together."""


class PerImageOutput(Output):
    """One PNG file an image, in a folder of the kind's own name."""

    name: str

    def __init__(self, folder: Path, source: Source) -> None:
        super().__init__(make_folder(folder / self.name), source)

    def path_of(self, predicted: PredictedImage) -> Path:
        """Where the file of an image goes."""
        return self.folder / f"{predicted.path.stem}.png"


class LabelMaps(PerImageOutput):
    """Label maps; where masks overlap, the higher score wins."""

    name = "labels"

    def add(self, predicted: PredictedImage) -> None:
        """Write the label map."""
        write_label_map(self.path_of(predicted), label_map_of(predicted.instances))


class Overlays(PerImageOutput):
    """Masks over the images."""

    name = "overlays"

    def add(self, predicted: PredictedImage) -> None:
        """Draw the masks."""
        rgb, masks = predicted.image[:, :, ::-1], predicted.instances.pred_masks
        draw_overlay(rgb, masks).save(self.path_of(predicted))


class Sequences(PerImageOutput):
    """Figures with a panel for every step."""

    name = "sequences"

    def add(self, predicted: PredictedImage) -> None:
        """Draw the steps."""
        found, rgb = predicted.instances, predicted.image[:, :, ::-1]
        figure = draw_sequence(rgb, found.pred_masks, found.scores, found.step)
        figure.save(self.path_of(predicted))


class CocoResults(Output):
    """COCO's results of all images."""

    def __init__(self, folder: Path, source: Source) -> None:
        super().__init__(folder, source)
        self._entries: list[Entry] = []
        self._images: list[dict[str, Any]] = []

    def add(self, predicted: PredictedImage) -> None:
        """Keep the entries, run-length encoded."""
        path, source = predicted.path, self.source
        found = (path.stem, predicted.instances, source.categories, source.ordered)
        self._entries += results_of_instances(*found)
        record = {"image_id": path.stem, "file_name": path.name}
        self._images.append(image_of(record, predicted.instances.image_size))

    def finish(self) -> None:
        """Write the results and the list of images."""
        path = self.folder / "predictions.json"
        save_results(path, self._entries, self._images, self.source.categories)


class Counts(Output):
    """How many objects each image has."""

    def __init__(self, folder: Path, source: Source) -> None:
        super().__init__(folder, source)
        self._rows: list[tuple[str, int]] = []

    def add(self, predicted: PredictedImage) -> None:
        """Keep the number."""
        self._rows.append((predicted.path.name, len(predicted.instances)))

    def finish(self) -> None:
        """Write the table."""
        with open(self.folder / "counts.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("file", "count"), *self._rows])


OUTPUTS: dict[str, type[Output]] = {
    "labels": LabelMaps,
    "coco": CocoResults,
    "counts": Counts,
    "overlays": Overlays,
    "sequences": Sequences,
}


class PredictionWriter:
    """Writes the predictions of images, one after another.

    Files of an earlier run are overwritten one by one, never removed.

    Args:
        folder: made where it is missing.
        outputs: names in ``OUTPUTS``.
        source: of the predictions.

    Raises:
        UserError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | Path,
        outputs: Sequence[str] = DEFAULT_OUTPUTS,
        source: Source = Source(),
    ) -> None:
        place = make_folder(folder)
        self._outputs = [OUTPUTS[name](place, source) for name in outputs]
        self.num_images = 0
        self.num_instances = 0

    def add(self, path: str | Path, image: np.ndarray, instances: Instances) -> None:
        """Write the outputs of an image; the arguments are those of ``PredictedImage``."""
        predicted = PredictedImage(Path(path), image, instances)
        for output in self._outputs:
            output.add(predicted)
        self.num_images += 1
        self.num_instances += len(instances)

    def finish(self) -> None:
        """Write what there is of all images together."""
        for output in self._outputs:
            output.finish()
