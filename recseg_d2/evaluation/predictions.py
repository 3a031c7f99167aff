"""What an evaluation keeps of the predictions, for analyses: COCO's results of each data set.

The files are ``predictions_<data set>.json`` and its list of images, see ``data.coco_results``.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances

from recseg_d2.data.coco_results import (
    Entry,
    categories_of,
    image_of,
    results_of_instances,
    save_results,
)
from recseg_d2.evaluation.base import gather_parts

logger = logging.getLogger(__name__)


class PredictionRecorder(DatasetEvaluator):
    """Keeps predicted instances run-length encoded, and writes them at the end; scores nothing.

    It runs beside a data set's evaluator in ``DatasetEvaluators``. Outputs without "instances" are
    passed over, and a data set that has only such outputs leaves no file. Where several processes
    saw the same image, the first one's predictions are kept.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        output_dir: folder that the file is written to.
        limit: instances kept of an image, those of the highest scores (the last ones of models
            that emit thousands say nothing); 0 keeps all.
        ordered: whether "step" is the order in which the model found the objects; False saves
            none, for models whose steps only number their results.
        distributed: whether predictions are gathered from all processes; else only this process's
            images are written.
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
        self._path = Path(output_dir) / f"predictions_{dataset_name}.json"
        self._categories = categories_of(dataset_name)
        self._limit = limit
        self._ordered = ordered
        self._distributed = distributed
        self.reset()

    def reset(self) -> None:
        """Forget all predictions."""
        self._images: dict[Any, tuple[dict[str, Any], list[Entry]]] = {}

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Keep a batch.

        Args:
            inputs: dicts with "image_id" and "file_name", as the data loader yields them.
            outputs: the model's dicts, with "instances"; see ``coco_results.results_of_instances``.
        """
        for record, output in zip(inputs, outputs, strict=True):
            image_id = record["image_id"]
            if "instances" in output and image_id not in self._images:
                # encoded at once: the masks of a whole data set do not fit in memory
                found = highest_scores(output["instances"].to("cpu"), self._limit)
                entries = results_of_instances(image_id, found, self._categories, self._ordered)
                self._images[image_id] = (image_of(record, found.image_size), entries)

    def evaluate(self) -> dict[str, Any]:
        """Write the file in the main process; there are no scores, so the result is empty."""
        kept: dict[Any, tuple[dict[str, Any], list[Entry]]] = {}
        for part in gather_parts(self._images, self._distributed):
            for image_id, image_and_found in part.items():
                # the first rank's, in whatever order the processes finished
                kept.setdefault(image_id, image_and_found)
        if kept:
            images = [image for image, _ in kept.values()]
            entries = [entry for _, found in kept.values() for entry in found]
            save_results(self._path, entries, images, self._categories, self._dataset_name)
            logger.info("Predictions for analyses: %s", self._path)
        return {}


def highest_scores(instances: Instances, limit: int) -> Instances:
    """At most ``limit`` instances of the highest scores, in their own order; 0 is no limit."""
    if limit <= 0 or len(instances) <= limit:
        return instances
    best = instances.scores.argsort(descending=True, stable=True)[:limit]
    return instances[best.sort().values]
