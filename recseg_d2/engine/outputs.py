"""What a prediction leaves on the disk.

In the output folder:
    labels/<stem>.png     label map, 8- or 16-bit grey: 0 is background, k the k-th object found
    predictions.json      COCO's list of results, one entry an object: image_id (the file's stem),
                          category_id (from 0, the order of the data set's classes), bbox (x, y,
                          width, height in pixels), segmentation (RLE), score, and step, the order
                          of discovery from 0
    counts.csv            file, count: how many objects each image has
    overlays/<stem>.png   the masks over the image
    sequences/<stem>.png  a panel for every step
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.structures import BoxMode, Instances
from pycocotools import mask as mask_util

from recseg_d2.data.label_io import write_label_map
from recseg_d2.files import make_folder
from recseg_d2.postprocess import instances_to_label_map
from recseg_d2.visualization import draw_overlay, draw_sequence


class PredictionWriter:
    """Writes the predictions of images, one after another.

    Files of an earlier run are overwritten one by one, never removed.

    Args:
        folder: made where it is missing.
        overlays: whether to draw overlays.
        sequences: whether to draw sequence figures.

    Raises:
        UserError: the folder cannot be made.
    """

    def __init__(self, folder: str | Path, overlays: bool = True, sequences: bool = False) -> None:
        self.folder = Path(folder)
        self._overlays = overlays
        self._sequences = sequences
        self._results: list[dict[str, Any]] = []
        self._counts: list[tuple[str, int]] = []
        wanted = {"labels": True, "overlays": overlays, "sequences": sequences}
        for name in (name for name, is_wanted in wanted.items() if is_wanted):
            make_folder(self.folder / name)

    @property
    def num_images(self) -> int:
        """Images added so far."""
        return len(self._counts)

    @property
    def num_instances(self) -> int:
        """Objects in all images added so far."""
        return len(self._results)

    def add(self, path: str | Path, image: np.ndarray, instances: Instances) -> None:
        """Write the label map and pictures of an image, and keep its entries for ``finish``.

        Args:
            path: of the image; its stem names the files.
            image: (H, W, 3) uint8 BGR.
            instances: on the CPU, masks of the image's size.
        """
        path = Path(path)
        masks = instances.pred_masks.numpy().astype(bool)
        rgb = image[:, :, ::-1]
        labels = instances_to_label_map(instances.pred_masks, instances.scores).numpy()
        write_label_map(self._file("labels", path), labels)
        self._results += instances_to_results(instances, path.stem)
        self._counts.append((path.name, len(instances)))
        if self._overlays:
            draw_overlay(rgb, masks).save(self._file("overlays", path))
        if self._sequences:
            figure = draw_sequence(rgb, masks, instances.scores.numpy(), instances.step.numpy())
            figure.save(self._file("sequences", path))

    def finish(self) -> None:
        """Write predictions.json and counts.csv."""
        with open(self.folder / "predictions.json", "w", encoding="utf-8") as file:
            json.dump(self._results, file)
        with open(self.folder / "counts.csv", "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("file", "count"))
            rows.writerows(self._counts)

    def _file(self, kind: str, path: Path) -> Path:
        return self.folder / kind / f"{path.stem}.png"


def instances_to_results(instances: Instances, image_id: str | int) -> list[dict[str, Any]]:
    """COCO's results, with ``step`` added, of one image.

    Args:
        instances: on the CPU, with pred_masks, pred_boxes, scores, pred_classes and step.
        image_id: goes into each entry.

    Returns:
        an entry an object, ready for JSON; ``pycocotools``' ``loadRes`` takes them.
    """
    boxes = BoxMode.convert(instances.pred_boxes.tensor, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
    results = []
    for i in range(len(instances)):
        mask = instances.pred_masks[i].numpy()
        rle = mask_util.encode(np.asfortranarray(mask, dtype=np.uint8))
        results.append(
            {
                "image_id": image_id,
                "category_id": int(instances.pred_classes[i]),
                "bbox": [float(value) for value in boxes[i]],
                "segmentation": {"size": list(mask.shape), "counts": rle["counts"].decode()},
                "score": float(instances.scores[i]),
                "step": int(instances.step[i]),
            }
        )
    return results
