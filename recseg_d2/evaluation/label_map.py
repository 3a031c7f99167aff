"""Evaluator of type "label_map": the metrics of label maps, counting and dice scores among them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recseg_d2.evaluation.base import ImageEvaluator
from recseg_d2.metrics import DEFAULT_METRICS, ImageScores
from recseg_d2.postprocess import label_map_of


class LabelMapEvaluator(ImageEvaluator):
    """Scores predicted ``Instances`` by ``recseg_d2.metrics``, the leaf challenge's by default.

    Overlapping predictions are made exclusive first (the higher score wins), since the metrics
    compare label maps. Classes are not looked at. Where it is not known what an image shows, pixels
    are background on both sides.

    Results are the data set's numbers, dice in 0..100. ``label_map_<data set>.json`` has the scores
    of each image too, in the form of ``recseg evaluate``.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        metrics: names in ``recseg_d2.metrics.METRICS``.
        output_dir: folder that scores of single images are written to; None writes nothing.
        distributed: whether results are gathered from all processes; else only this process's
            images count.
    """

    kind = "label_map"

    def __init__(
        self,
        dataset_name: str,
        metrics: Iterable[str] = DEFAULT_METRICS,
        output_dir: str | Path | None = None,
        distributed: bool = True,
    ) -> None:
        self._names = tuple(metrics)
        self._scores = ImageScores(self._names)  # refuses unknown names at once
        super().__init__(dataset_name, output_dir, distributed)

    def compare(self, record: dict[str, Any], output: dict[str, Any]) -> dict[str, Any]:
        """Scores and sums of an image; see ``ImageScores.measure``."""
        predicted = label_map_of(output["instances"].to("cpu"))
        return self._scores.measure(*self.truth.compared(record["image_id"], predicted))

    def summarize(self, images: dict[Any, Any]) -> dict[str, float]:
        """Such as {"SBD": .., "DiC": .., "absDiC": .., "FGBGDice": ..}."""
        # as recseg evaluate names them, so that both files can be compared
        by_name = {self.truth.key(image_id): kept for image_id, kept in images.items()}
        scores = ImageScores(self._names, by_name)
        self.save(scores.summary())
        return scores.results()
