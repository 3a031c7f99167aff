"""Evaluator of type "voc_segm": AP of masks by class.

Two families of numbers over the same predictions, see ``recseg_d2.metrics.voc_ap``:

    APr50 APr70 (mAP^r)   rule "voc", 11-point mean: SDS, MNC, FCIS, InstanceFCN's table 4
    APr50area APr70area   rule "voc", area under the curve
    AP50 AP60 AP70 AP80   rule "coco", 101-point mean: RSIS's table for Pascal VOC
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances
from pycocotools import mask as coco_mask

from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.evaluation.shared import gather_parts, masks_of_size, warn_of_gaps
from recseg_d2.files import save_scores
from recseg_d2.metrics.voc_ap import (
    ImageDetections,
    area_ap,
    coco_ap,
    eleven_point_ap,
    mean_over_classes,
    precision_recall_curve,
)

logger = logging.getLogger(__name__)

REGION_THRESHOLDS = (0.5, 0.7)
RSIS_THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
LOGGED_BY_CLASS = ("APr50", "AP50")  # of single classes; the file has all
PERCENT = 100.0


class VocSegmEvaluator(DatasetEvaluator):
    """Scores predicted ``Instances`` against a registered data set, at each image's native size.

    Regions with "iscrowd" (void, crowds) count for no class: their pixels are taken out of the
    predictions, and what is left of a prediction that lies in them for the most part is dropped
    rather than false. Objects with "difficult" may be found but need not be.

    In memory are the IoUs of each image, no masks. Each process scores its own images, and an image
    that several processes saw counts once.

    Args:
        dataset_name: a name in ``DatasetCatalog`` whose metadata has ``thing_classes``.
        output_dir: where ``voc_segm_<dataset_name>.json`` with all numbers of all classes is
            written; None writes nothing.
        distributed: gather from all processes; else only this process's images count.

    Raises:
        UserError: the data set has no image or no ``thing_classes``.
    """

    def __init__(
        self, dataset_name: str, output_dir: str | Path | None = None, distributed: bool = True
    ) -> None:
        self._dataset_name = dataset_name
        self._output_dir = output_dir
        self._distributed = distributed
        self._truth = GroundTruth(dataset_name)
        self._records = {record["image_id"]: record for record in self._truth.records}
        self._classes = list(MetadataCatalog.get(dataset_name).get("thing_classes") or ())
        if not self._classes:
            raise UserError(
                f"{dataset_name}: found no classes, expected names in "
                f"MetadataCatalog.get({dataset_name!r}).thing_classes."
            )
        self.reset()

    def reset(self) -> None:
        """Forget all predictions."""
        self._images: dict[Any, ImageDetections] = {}

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Compare a batch with the ground truth.

        Args:
            inputs: dicts with "image_id", as the data loader yields them.
            outputs: dicts with "instances", ``Instances`` with ``pred_masks`` (K, H, W) bool,
                ``scores`` (K,) and ``pred_classes`` (K,), at the native size of the image.

        Raises:
            UserError: an image is not of the data set, or a prediction is not of its size.
        """
        for given, output in zip(inputs, outputs, strict=True):
            record = self._truth.record(given["image_id"])
            self._images[given["image_id"]] = compare(output["instances"].to("cpu"), record)

    def evaluate(self) -> dict[str, dict[str, float]]:
        """AP in 0..100, NaN where no class has an object.

        Returns:
            {"voc_segm": {"APr50": .., "APr50area": .., "APr70": .., "APr70area": .., "AP50": ..,
            "AP60": .., "AP70": .., "AP80": .., "APr50-<class>": .., "AP50-<class>": ..}} in the
            main process; {} in the others.
        """
        images = self._gathered()
        if images is None:
            return {}
        warn_of_gaps(logger, self._dataset_name, len(images), self._truth)
        by_class = {name: class_scores(images, k) for k, name in enumerate(self._classes)}
        keys = next(iter(by_class.values())).keys()
        means = {key: mean_over_classes([s[key] for s in by_class.values()]) for key in keys}
        self._save({"mean": means, "classes": by_class})
        single = {f"{k}-{name}": s[k] for name, s in by_class.items() for k in LOGGED_BY_CLASS}
        return {"voc_segm": means | single}

    def _gathered(self) -> list[ImageDetections] | None:
        """All images in the data set's order in the main process, None in the others."""
        parts = gather_parts(self._images, self._distributed)
        if not parts:
            return None
        images = {image_id: image for part in parts for image_id, image in part.items()}
        return [images[image_id] for image_id in self._records if image_id in images]

    def _save(self, numbers: dict[str, dict[str, Any]]) -> None:
        if self._output_dir is None:
            return
        path = Path(self._output_dir) / f"voc_segm_{self._dataset_name}.json"
        logger.info("AP of each class: %s", save_scores(path, numbers))


def class_scores(images: list[ImageDetections], index: int) -> dict[str, float]:
    """All numbers of a class, in 0..100; NaN for a class without objects."""
    scores: dict[str, float] = {}
    for threshold in REGION_THRESHOLDS:
        curve = precision_recall_curve(images, index, threshold, "voc")
        name = f"APr{PERCENT * threshold:.0f}"
        scores[name] = PERCENT * eleven_point_ap(curve)
        scores[f"{name}area"] = PERCENT * area_ap(curve)
    for threshold in RSIS_THRESHOLDS:
        curve = precision_recall_curve(images, index, threshold, "coco")
        scores[f"AP{PERCENT * threshold:.0f}"] = PERCENT * coco_ap(curve)
    return scores


def compare(instances: Instances, record: dict[str, Any]) -> ImageDetections:
    """The IoUs of an image's predictions with the objects of its standard dict.

    Args:
        instances: on the CPU, see ``VocSegmEvaluator.process``.
        record: its ground truth.

    Raises:
        UserError: a mask is not of the image's size.
    """
    shape = (record["height"], record["width"])
    masks = masks_of_size(instances.pred_masks, record)
    annotations = record.get("annotations", [])
    void = np.zeros(shape, dtype=bool)
    for annotation in annotations:
        if annotation.get("iscrowd", 0):
            void |= _decode(annotation, record) > 0
    areas, clear = masks.sum(axis=(1, 2)), masks & ~void
    kept = clear.any(axis=(1, 2))
    objects = [a for a in annotations if not a.get("iscrowd", 0)]
    return ImageDetections(
        scores=np.asarray(instances.scores, dtype=np.float64)[kept],
        classes=np.asarray(instances.pred_classes, dtype=np.int64)[kept],
        overlaps=_overlaps(clear[kept], [_decode(a, record) for a in objects]),
        ignored_shares=1.0 - clear[kept].sum(axis=(1, 2)) / areas[kept],
        true_classes=np.array([a["category_id"] for a in objects], dtype=np.int64),
        difficult=np.array([bool(a.get("difficult", 0)) for a in objects], dtype=bool),
    )


def _decode(annotation: dict[str, Any], record: dict[str, Any]) -> np.ndarray:
    shape = (record["height"], record["width"])
    return decode_segmentation(annotation.get("segmentation"), shape, record["file_name"])


def _overlaps(found: np.ndarray, true: list[np.ndarray]) -> np.ndarray:
    """(P, G) IoU; through run lengths, which are much faster to compare than pixels."""
    if not len(found) or not true:
        return np.zeros((len(found), len(true)))
    left, right = ([_encode(mask) for mask in masks] for masks in (found, true))
    return np.asarray(coco_mask.iou(left, right, [0] * len(right)))


def _encode(mask: np.ndarray) -> dict[str, Any]:
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
