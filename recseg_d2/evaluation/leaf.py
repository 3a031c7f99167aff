"""Evaluator of type "leaf": counting and dice scores.

The scores are those of ``recseg_d2.metrics`` on label maps, the leaf segmentation challenge's by
default, but nothing in here is about leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances

from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.evaluation.shared import gather_parts, warn_of_gaps
from recseg_d2.files import save_scores
from recseg_d2.metrics import DEFAULT_METRICS, ImageScores
from recseg_d2.postprocess import instances_to_label_map

logger = logging.getLogger(__name__)


class LeafEvaluator(DatasetEvaluator):
    """Scores predicted ``Instances`` against a registered data set, at each image's native size.

    Overlapping predictions are made exclusive first (the higher score wins), since the metrics
    compare label maps. Classes are not looked at. Each process scores its own images; only numbers
    are gathered, and an image that several processes saw counts once.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        metrics: names in ``recseg_d2.metrics.METRICS``.
        output_dir: where ``leaf_<dataset_name>.json`` with the scores of each image is written,
            in the form of ``recseg evaluate``; None writes nothing.
        distributed: gather from all processes; else only this process's images count.
    """

    def __init__(
        self,
        dataset_name: str,
        metrics: Iterable[str] = DEFAULT_METRICS,
        output_dir: str | Path | None = None,
        distributed: bool = True,
    ) -> None:
        self._dataset_name = dataset_name
        self._metrics = tuple(metrics)
        self._output_dir = output_dir
        self._distributed = distributed
        self._truth = GroundTruth(dataset_name)
        self.reset()

    def reset(self) -> None:
        """Forget all scores."""
        self._scores = ImageScores(self._metrics)

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Score a batch.

        Args:
            inputs: dicts with "image_id", as the data loader yields them.
            outputs: dicts with "instances", ``Instances`` with ``pred_masks`` (K, H, W) bool and
                ``scores`` (K,), at the native size of the image.

        Raises:
            UserError: an image is not of the data set.
            ValueError: a prediction is not of its image's size.
        """
        for record, output in zip(inputs, outputs, strict=True):
            image_id = record["image_id"]
            truth = self._truth.label_map(image_id)
            prediction = _to_label_map(output["instances"])
            self._scores.update(self._truth.key(image_id), prediction, truth)

    def evaluate(self) -> dict[str, dict[str, float]]:
        """Mean over images.

        Returns:
            {"leaf": {"SBD": .., "DiC": .., "absDiC": .., "FGBGDice": ..}} with dice in 0..100, in
            the main process; {} in the others.
        """
        scores = self._gathered()
        if scores is None:
            return {}
        warn_of_gaps(logger, self._dataset_name, len(scores.images), self._truth)
        if self._output_dir is not None:
            path = Path(self._output_dir) / f"leaf_{self._dataset_name}.json"
            save_scores(path, scores.summary())
            logger.info("Scores of each image: %s", path)
        return {"leaf": scores.mean()}

    def _gathered(self) -> ImageScores | None:
        """The scores of all processes in the main one, None in the others."""
        parts = gather_parts(self._scores.images, self._distributed)
        if not parts:
            return None
        scores = ImageScores(self._metrics)
        for part in parts:
            scores.merge(part)
        return scores


def _to_label_map(instances: Instances) -> np.ndarray:
    """(H, W) integer label map of predicted instances."""
    instances = instances.to("cpu")
    return np.asarray(instances_to_label_map(instances.pred_masks, instances.scores))
