"""Evaluator of type "recseg_cityscapes": the benchmark's AP.

The ground truth is read from the files that the data set's dicts name, not from annotations, since
void, groups and distances are in them:

    "instance_ids_file"               required; without it there is only the submission
    "disparity_file", "camera_file"   for AP100m and AP50m, which need both of every image
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances

from recseg_d2.evaluation.cityscapes_results import (
    list_of_image,
    read_mask,
    read_submission,
    submission_lists,
    write_submission,
)
from recseg_d2.evaluation.cityscapes_truth import evaluated_classes, image_name, scene_of
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.evaluation.shared import gather_parts, masks_of_size, warn_of_gaps
from recseg_d2.files import save_scores
from recseg_d2.metrics.cityscapes_ap import summarize
from recseg_d2.metrics.cityscapes_matching import (
    SceneMatches,
    TrueScene,
    crop_mask,
    match_scene,
)

logger = logging.getLogger(__name__)

PERCENT = 100.0
SUBMISSION = "cityscapes_submission_"  # and the data set's name: a folder of results


class CityscapesEvaluator(DatasetEvaluator):
    """Scores predicted ``Instances`` by the rules of the Cityscapes benchmark.

    In memory are pixel counts of each image, no masks. Each process scores its own images, and an
    image that several processes saw counts once.

    Args:
        dataset_name: a name in ``DatasetCatalog``; its metadata has ``thing_classes`` and
            ``label_ids``, the id of each class.
        output_dir: where ``cityscapes_<dataset_name>.json`` with the scores of all classes and the
            folder ``cityscapes_submission_<dataset_name>`` in the official format are written; None
            writes nothing.
        distributed: gather from all processes; else only this process's images count.

    Raises:
        UserError: the data set has no image, or its metadata lack the classes or their ids.
    """

    def __init__(
        self, dataset_name: str, output_dir: str | Path | None = None, distributed: bool = True
    ) -> None:
        self._dataset_name = dataset_name
        self._output_dir = None if output_dir is None else Path(output_dir)
        self._distributed = distributed
        self._truth = GroundTruth(dataset_name)
        self._classes = evaluated_classes(dataset_name)
        self.reset()

    def reset(self) -> None:
        """Forget all predictions."""
        self._images: dict[Any, SceneMatches] = {}

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Compare a batch with the ground truth, and write it in the submission format.

        Args:
            inputs: dicts with "image_id", as the data loader yields them.
            outputs: dicts with "instances", ``Instances`` with ``pred_masks`` (K, H, W) bool,
                ``scores`` (K,) and ``pred_classes`` (K,), at the native size of the image.

        Raises:
            UserError: an image is not of the data set, a prediction is not of its size, or a file
                of the ground truth cannot be read.
        """
        for given, output in zip(inputs, outputs, strict=True):
            record = self._truth.record(given["image_id"])
            masks, labels, scores = self._unpack(output["instances"].to("cpu"), record)
            if self._output_dir is not None:
                folder = self._output_dir / f"{SUBMISSION}{self._dataset_name}"
                write_submission(folder, image_name(record), labels, scores, masks)
            if "instance_ids_file" in record:
                scene = scene_of(record, list(self._classes.values()))
                crops = map(crop_mask, masks)
                self._images[given["image_id"]] = match_scene(scene, labels, scores, crops)

    def evaluate(self) -> dict[str, dict[str, float]]:
        """AP in 0..100 over all images; NaN where no class has an object.

        Returns:
            {"cityscapes": {"AP": .., "AP50%": .., "AP-<class>": .., "AP50%-<class>": .., ...}} in
            the main process, with "AP100m", "AP50m" and "AP50%50m" where all images have distances;
            {} in the others, and where no image has ground truth.
        """
        images = self._gathered()
        if not images:
            return {}
        warn_of_gaps(logger, self._dataset_name, len(images), self._truth)
        scores = in_percent(summarize(images, self._classes))
        if self._output_dir is not None:
            path = self._output_dir / f"cityscapes_{self._dataset_name}.json"
            logger.info("AP of each class: %s", save_scores(path, scores))
        means = scores.pop("average")
        single = {f"{k}-{name}": v for name, s in scores.items() for k, v in s.items()}
        return {"cityscapes": means | single}

    def _unpack(
        self, instances: Instances, record: dict[str, Any]
    ) -> tuple[np.ndarray, list[int], list[float]]:
        """Masks (K, H, W) bool, label ids and scores."""
        masks = masks_of_size(instances.pred_masks, record)
        ids = list(self._classes.values())
        return masks, [ids[k] for k in instances.pred_classes.tolist()], instances.scores.tolist()

    def _gathered(self) -> list[SceneMatches]:
        """All images in the main process, none in the others."""
        parts = gather_parts(self._images, self._distributed)
        return list({image_id: m for part in parts for image_id, m in part.items()}.values())


def score_submission(dataset_name: str, folder: str | Path) -> dict[str, dict[str, float]]:
    """Score a folder in the submission format against a registered data set.

    Args:
        dataset_name: see ``CityscapesEvaluator``; every image has ground truth.
        folder: has a list for every image, here or below.

    Returns:
        {class or "average": {"AP": .., "AP50%": .., ...}} in 0..100.

    Raises:
        UserError: a list, a mask or a file of the ground truth is missing or wrong.
    """
    classes = evaluated_classes(dataset_name)
    labels, lists = list(classes.values()), submission_lists(folder)
    images = []
    for record in GroundTruth(dataset_name).records:
        scene = scene_of(record, labels)
        images.append(match_files(scene, list_of_image(lists, image_name(record)), labels))
    return in_percent(summarize(images, classes))


def match_files(scene: TrueScene, path: str | Path, label_ids: Sequence[int]) -> SceneMatches:
    """Compare a list of the submission format with its ground truth.

    Masks of other labels than ``label_ids`` are not read.
    """
    found = [mask for mask in read_submission(path) if mask.label_id in label_ids]
    return match_scene(
        scene,
        [mask.label_id for mask in found],
        [mask.score for mask in found],
        (read_mask(mask.path, scene.codes.shape) for mask in found),
    )


def in_percent(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The same numbers in 0..100."""
    return {name: {k: PERCENT * v for k, v in s.items()} for name, s in scores.items()}
