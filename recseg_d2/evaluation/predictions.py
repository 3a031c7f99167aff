"""What an evaluation keeps of the predictions, for analyses.

One file a data set, ``predictions_<data set>.json.gz``, beside the scores:

    {"version": 1, "dataset": name, "classes": [names],
     "images": [{"image_id", "height", "width", "instances": [{"category_id", "score", "step",
                 "segmentation": {"size": [height, width], "counts": compressed RLE}}]}]}

``category_id`` counts from 0 in the order of ``classes``. ``step`` is the order of discovery from
0, null of models that find all objects at once. Instances are in the model's order.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances

from recseg_d2.data.proposal_files import encode_masks
from recseg_d2.errors import UserError
from recseg_d2.evaluation.shared import gather_parts
from recseg_d2.files import make_place

logger = logging.getLogger(__name__)

VERSION = 1
PREFIX, SUFFIX = "predictions_", ".json.gz"


@dataclass(frozen=True)
class SavedPredictions:
    """The content of a file, as described above.

    Attributes:
        path: of the file.
        dataset: the data set's name.
        classes: names of the classes.
        images: one dict an image, see the module's description.
    """

    path: Path
    dataset: str
    classes: tuple[str, ...]
    images: list[dict[str, Any]]


class PredictionRecorder(DatasetEvaluator):
    """Keeps predicted instances run-length encoded, and writes them at the end; scores nothing.

    It runs beside a data set's evaluator in ``DatasetEvaluators``. Outputs without "instances" are
    passed over, and a data set that has only such outputs leaves no file. Where several processes
    saw the same image, the first one's predictions are kept.

    Args:
        dataset_name: a registered data set.
        output_dir: where the file is written.
        limit: instances kept of an image, those of the highest scores (the last ones of models
            that emit thousands say nothing); 0 keeps all.
        ordered: whether ``step`` is the order in which the model found the objects; False saves
            none, for models whose steps only number their results.
        distributed: gather from all processes; else only this process's images are written.
    """

    def __init__(
        self,
        dataset_name: str,
        output_dir: str | Path,
        limit: int = 0,
        ordered: bool = True,
        distributed: bool = True,
    ) -> None:
        self._dataset_name = dataset_name
        self._path = Path(output_dir) / predictions_file(dataset_name)
        self._limit = limit
        self._ordered = ordered
        self._distributed = distributed
        self.reset()

    def reset(self) -> None:
        """Forget all predictions."""
        self._images: list[dict[str, Any]] = []

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Keep a batch.

        Args:
            inputs: dicts with "image_id", as the data loader yields them.
            outputs: dicts with "instances": ``pred_masks`` (K, H, W) bool, ``scores`` (K,), and
                where the model has them ``pred_classes`` (K,) and ``step`` (K,).
        """
        for record, output in zip(inputs, outputs, strict=True):
            if "instances" in output:
                found = highest_scores(output["instances"].to("cpu"), self._limit)
                height, width = found.image_size
                self._images.append(
                    {
                        "image_id": record["image_id"],
                        "height": int(height),
                        "width": int(width),
                        "instances": _encoded(found, self._ordered),
                    }
                )

    def evaluate(self) -> dict[str, Any]:
        """Write the file in the main process; there are no scores, so the result is empty."""
        images = self._gathered()
        if images:
            classes = MetadataCatalog.get(self._dataset_name).get("thing_classes") or ()
            save_predictions(
                SavedPredictions(self._path, self._dataset_name, tuple(classes), images)
            )
            logger.info("Predictions for analyses: %s", self._path)
        return {}

    def _gathered(self) -> list[dict[str, Any]]:
        """The images of all processes in the main one, none in the others."""
        unique: dict[Any, dict[str, Any]] = {}
        for part in gather_parts(self._images, self._distributed):
            for image in part:
                unique.setdefault(image["image_id"], image)
        return list(unique.values())


def predictions_file(dataset_name: str) -> str:
    """Name of the file of a data set."""
    return f"{PREFIX}{dataset_name}{SUFFIX}"


def highest_scores(instances: Instances, limit: int) -> Instances:
    """At most ``limit`` instances of the highest scores, in their own order; 0 is no limit."""
    if limit <= 0 or len(instances) <= limit:
        return instances
    best = instances.scores.argsort(descending=True, stable=True)[:limit]
    return instances[best.sort().values]


def save_predictions(predictions: SavedPredictions) -> None:
    """Write predictions to their path; equal predictions make equal files.

    Raises:
        UserError: the file cannot be written there.
    """
    content = {
        "version": VERSION,
        "dataset": predictions.dataset,
        "classes": list(predictions.classes),
        "images": predictions.images,
    }
    text = json.dumps(content, separators=(",", ":"))
    path = make_place(predictions.path)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def load_predictions(path: str | Path) -> SavedPredictions:
    """Read the file of a data set.

    Raises:
        UserError: there is no such file, it cannot be read, or it is of another kind.
    """
    path = Path(path)
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; name one that an evaluation wrote.") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); expected what an evaluation writes with "
            "TEST.SAVE_PREDICTIONS. Evaluate again."
        ) from error
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION:
        raise UserError(
            f"{path}: found version {version!r}, expected {VERSION}; evaluate again with this "
            "version of the package."
        )
    classes = tuple(content["classes"])
    return SavedPredictions(path, content["dataset"], classes, content["images"])


def _encoded(instances: Instances, ordered: bool) -> list[dict[str, Any]]:
    """The instances of an image as in the file."""
    count = len(instances)
    classes = instances.pred_classes.tolist() if instances.has("pred_classes") else [0] * count
    with_steps = ordered and instances.has("step")
    steps = instances.step.tolist() if with_steps else [None] * count
    run_lengths = encode_masks(np.asarray(instances.pred_masks, dtype=bool))
    return [
        {
            "category_id": classes[k],
            "score": float(instances.scores[k]),
            "step": steps[k],
            "segmentation": run_lengths[k],
        }
        for k in range(count)
    ]
