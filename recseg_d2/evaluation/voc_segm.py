"""Evaluator of type "voc_segm": AP of masks by class.

Two families of numbers over the same predictions, see ``recseg_d2.metrics.voc_ap``:

    APr50 APr70 (mAP^r)   rule "voc", 11-point mean: SDS, MNC, FCIS, InstanceFCN's table 4
    APr50area APr70area   rule "voc", area under the curve
    AP50 AP60 AP70 AP80   rule "coco", 101-point mean: RSIS's table for Pascal VOC
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog
from detectron2.structures import Instances

from recseg_d2 import rle
from recseg_d2.errors import UserError
from recseg_d2.evaluation.base import ImageEvaluator, masks_of_size
from recseg_d2.evaluation.ground_truth import true_masks
from recseg_d2.metrics.voc_ap import (
    ImageDetections,
    area_ap,
    coco_ap,
    eleven_point_ap,
    mean_over_classes,
    precision_recall_curve,
)

REGION_THRESHOLDS = (0.5, 0.7)
RSIS_THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
LOGGED_BY_CLASS = ("APr50", "AP50")  # of single classes; the file has all
PERCENT = 100.0


class VocSegmEvaluator(ImageEvaluator):
    """Scores predicted ``Instances`` of the classes in the metadata's ``thing_classes``.

    Regions with "iscrowd" (void, crowds) count for no class: their pixels are taken out of the
    predictions, and what is left of a prediction that lies in them for the most part is dropped
    rather than false. Objects with "difficult" may be found but need not be.

    In memory are the IoUs of each image, no masks. ``voc_segm_<data set>.json`` has all numbers of
    all classes.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        output_dir: folder that results are written to; None writes nothing.
        distributed: whether results are gathered from all processes; else only this process's
            images count.

    Raises:
        UserError: the data set has no image or no ``thing_classes``.
    """

    kind = "voc_segm"

    def __init__(
        self, dataset_name: str, output_dir: str | Path | None = None, distributed: bool = True
    ) -> None:
        super().__init__(dataset_name, output_dir, distributed)
        self._classes = list(MetadataCatalog.get(dataset_name).get("thing_classes") or ())
        if not self._classes:
            raise UserError(
                f"{dataset_name}: found no classes, expected names in "
                f"MetadataCatalog.get({dataset_name!r}).thing_classes."
            )

    def compare(self, record: dict[str, Any], output: dict[str, Any]) -> ImageDetections:
        """The IoUs of an image's predictions with the objects of its standard dict."""
        return compare(output["instances"].to("cpu"), record)

    def summarize(self, images: dict[Any, ImageDetections]) -> dict[str, float]:
        """AP in 0..100, NaN where no class has an object.

        Returns:
            {"APr50": .., "APr50area": .., "APr70": .., "APr70area": .., "AP50": .., "AP60": ..,
            "AP70": .., "AP80": .., "APr50-<class>": .., "AP50-<class>": ..}.
        """
        # the same order for each class, as ties between scores break by it
        found = list(images.values())
        by_class = {name: class_scores(found, k) for k, name in enumerate(self._classes)}
        keys = next(iter(by_class.values())).keys()
        means = {key: mean_over_classes([s[key] for s in by_class.values()]) for key in keys}
        self.save({"mean": means, "classes": by_class})
        single = {f"{k}-{name}": s[k] for name, s in by_class.items() for k in LOGGED_BY_CLASS}
        return means | single


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
        instances: on the CPU, with ``pred_masks`` at the native size, ``scores`` and
            ``pred_classes``.
        record: Detectron2's standard dict of the image, with the ground truth.

    Raises:
        UserError: a mask is not of the image's size.
    """
    true = true_masks(record)
    void = np.zeros((record["height"], record["width"]), dtype=bool)
    for k in np.flatnonzero(true.crowd):
        void |= rle.decode(true.rles[k]).astype(bool)
    areas, clear_areas, clear = [], [], []
    for mask in masks_of_size(instances, record):
        # void pixels are neither right nor wrong in VOC's rules, so no prediction may win or lose
        # by them
        mask_clear = mask & ~void
        areas.append(np.count_nonzero(mask))
        clear_areas.append(np.count_nonzero(mask_clear))
        clear.append(rle.encode(mask_clear))
    # what lies in void altogether has no pixel left to be judged by
    kept = np.flatnonzero(clear_areas)
    objects = np.flatnonzero(~true.crowd)
    difficult = [bool(true.annotations[k].get("difficult", 0)) for k in objects]
    return ImageDetections(
        scores=np.asarray(instances.scores, dtype=np.float64)[kept],
        classes=np.asarray(instances.pred_classes, dtype=np.int64)[kept],
        overlaps=rle.overlaps([clear[k] for k in kept], [true.rles[k] for k in objects]),
        ignored_shares=1.0 - np.array(clear_areas)[kept] / np.array(areas)[kept],
        true_classes=true.classes[objects],
        difficult=np.array(difficult, dtype=bool),
    )
