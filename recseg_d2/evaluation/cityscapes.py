"""Evaluator of type "recseg_cityscapes": the benchmark's AP.

The ground truth is read from the files that the data set's dicts name, not from annotations, since
void, groups and distances are in them:

    "instance_ids_file"               required; without it there is only the submission
    "disparity_file", "camera_file"   for AP100m and AP50m, which need both of every image
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recseg_d2.evaluation.base import ImageEvaluator, masks_of_size
from recseg_d2.evaluation.cityscapes_results import (
    list_of_image,
    read_mask,
    read_submission,
    submission_lists,
    write_submission,
)
from recseg_d2.evaluation.cityscapes_truth import evaluated_classes, official_name, scene_of
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.metrics.cityscapes_ap import summarize
from recseg_d2.metrics.cityscapes_matching import (
    SceneMatches,
    TrueScene,
    crop_mask,
    match_scene,
)

PERCENT = 100.0
SUBMISSION = "cityscapes_submission_"  # and the data set's name: a folder of results


class CityscapesEvaluator(ImageEvaluator):
    """Scores predicted ``Instances`` by the rules of the Cityscapes benchmark.

    In memory are pixel counts of each image, no masks. ``cityscapes_<data set>.json`` has the
    scores of all classes, the folder ``cityscapes_submission_<data set>`` the predictions in the
    official format.

    Args:
        dataset_name: a name in ``DatasetCatalog``; its metadata has ``thing_classes`` and
            ``label_ids``, the id of each class.
        output_dir: folder that the scores and the submission are written to; None writes neither.
        distributed: whether results are gathered from all processes; else only this process's
            images count.

    Raises:
        UserError: the data set has no image, or its metadata lack the classes or their ids.
    """

    kind = "cityscapes"

    def __init__(
        self, dataset_name: str, output_dir: str | Path | None = None, distributed: bool = True
    ) -> None:
        super().__init__(dataset_name, output_dir, distributed)
        self._classes = evaluated_classes(dataset_name)

    def compare(self, record: dict[str, Any], output: dict[str, Any]) -> SceneMatches | None:
        """Shared pixels with the ground truth, where there is one; writes the submission.

        Raises:
            UserError: a prediction is not of the image's size, or a file of the ground truth cannot
                be read.
        """
        instances, ids = output["instances"].to("cpu"), list(self._classes.values())
        labels = [ids[k] for k in instances.pred_classes.tolist()]
        scores = instances.scores.tolist()
        if self.output_dir is not None:
            folder = self.output_dir / f"{SUBMISSION}{self.dataset_name}"
            masks = masks_of_size(instances, record)
            write_submission(folder, official_name(record), labels, scores, masks)
        if "instance_ids_file" not in record:
            return None
        crops = map(crop_mask, masks_of_size(instances, record))
        return match_scene(scene_of(record, ids), labels, scores, crops)

    def summarize(self, images: dict[Any, SceneMatches]) -> dict[str, float]:
        """AP in 0..100 over all images; NaN where no class has an object.

        Returns:
            {"AP": .., "AP50%": .., "AP-<class>": .., "AP50%-<class>": .., ...} with "AP100m",
            "AP50m" and "AP50%50m" where all images have distances; {} where none has ground truth.
        """
        if not images:
            return {}
        scores = in_percent(summarize(list(images.values()), self._classes))
        self.save(scores)
        means = scores.pop("average")
        return means | {f"{k}-{name}": v for name, s in scores.items() for k, v in s.items()}


def score_submission(dataset_name: str, folder: str | Path) -> dict[str, dict[str, float]]:
    """Score a folder in the submission format against a registered data set.

    Args:
        dataset_name: a name in ``DatasetCatalog`` of Cityscapes' images; each has ground truth.
        folder: a folder that has a list of predictions for every image, in it or below.

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
        images.append(match_files(scene, list_of_image(lists, official_name(record)), labels))
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
