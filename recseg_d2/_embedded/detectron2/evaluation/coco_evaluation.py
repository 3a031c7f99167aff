"""COCO's average precision of boxes and masks."""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import torch
from pycocotools.cocoeval import COCOeval
from tabulate import tabulate

import detectron2.utils.comm as comm
from detectron2.data import MetadataCatalog
from detectron2.data.datasets.coco import convert_to_coco_json, open_coco
from detectron2.structures import BoxMode, Instances
from detectron2.utils.file_io import PathManager

from .evaluator import DatasetEvaluator

__all__ = ["COCOEvaluator"]

logger = logging.getLogger(__name__)

_TASKS = ("bbox", "segm")
_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")  # the first of pycocotools' ``stats``


class COCOEvaluator(DatasetEvaluator):
    """Average precision in [0, 100]; NaN where it is not defined."""

    def __init__(
        self,
        dataset_name: str,
        tasks: Sequence[str] | None = None,
        distributed: bool = True,
        output_dir: str | None = None,
        *,
        allow_cached_coco: bool = True,
    ):
        """Open the annotations.

        Args:
            dataset_name: its metadata has a "json_file", or it is registered as standard dicts,
                which are then converted into a file in ``output_dir``.
            tasks: of "bbox" and "segm"; None takes what the predictions have.
            distributed: whether to collect the predictions of all processes.
            output_dir: where to write "instances_predictions.pth" (all predictions) and
                "coco_instances_results.json" (COCO's result format).
            allow_cached_coco: whether a converted file of an earlier run will do.
        """
        self._tasks = tasks
        self._distributed = distributed
        self._output_dir = output_dir
        self._metadata = MetadataCatalog.get(dataset_name)
        if not hasattr(self._metadata, "json_file"):
            if output_dir is None:
                raise ValueError(
                    f"Dataset {dataset_name!r} is not in COCO format: output_dir must be provided "
                    "to COCOEvaluator, to convert it there."
                )
            path = os.path.join(output_dir, f"{dataset_name}_coco_format.json")
            convert_to_coco_json(dataset_name, path, allow_cached=allow_cached_coco)
            self._metadata.json_file = path
        self._coco_api = open_coco(self._metadata.json_file)
        self._predictions: list[dict[str, Any]] = []

    def reset(self) -> None:
        self._predictions = []

    def process(self, inputs: list[dict], outputs: list[dict]) -> None:
        for given, output in zip(inputs, outputs, strict=True):
            if "instances" in output:
                image_id = given["image_id"]
                found = instances_to_coco_json(output["instances"].to("cpu"), image_id)
                self._predictions.append({"image_id": image_id, "instances": found})

    def evaluate(self, img_ids: list | None = None) -> dict[str, Any]:
        """{"bbox": {"AP": ...}, "segm": {...}}, of some images or of all.

        Returns an empty dict where there were no outputs, and on processes other than the first.
        """
        predictions = self._predictions
        if self._distributed:
            comm.synchronize()
            predictions = list(itertools.chain.from_iterable(comm.gather(predictions, dst=0)))
            if not comm.is_main_process():
                return {}
        if not predictions:
            logger.warning("[COCOEvaluator] Did not receive valid predictions.")
            return {}
        instances = itertools.chain.from_iterable(p["instances"] for p in predictions)
        found = [self._with_file_category(instance) for instance in instances]
        if self._output_dir:
            self._save(predictions, found)
        if "annotations" not in self._coco_api.dataset:
            logger.info("Annotations are not available for evaluation.")
            return {}
        default = _TASKS if any("segmentation" in f for f in found) else ("bbox",)
        results: OrderedDict = OrderedDict()
        for task in sorted(self._tasks or default):
            assert task in _TASKS, f"Unknown task {task!r}: expected {' or '.join(_TASKS)}."
            results[task] = self._evaluate_task(task, found, img_ids)
        return results

    def _save(self, predictions: list[dict], found: list[dict]) -> None:
        folder = str(self._output_dir)
        PathManager.mkdirs(folder)
        with PathManager.open(os.path.join(folder, "instances_predictions.pth"), "wb") as file:
            torch.save(predictions, file)
        with PathManager.open(os.path.join(folder, "coco_instances_results.json"), "w") as file:
            json.dump(found, file)

    def _with_file_category(self, instance: dict[str, Any]) -> dict[str, Any]:
        """The same with the category id of the json file."""
        mapping = self._metadata.get("thing_dataset_id_to_contiguous_id")
        if mapping is None:
            return instance
        file_ids = {contiguous: file_id for file_id, contiguous in mapping.items()}
        category = instance["category_id"]
        assert category in file_ids, (
            f"A prediction has class={category}, but the dataset only has {len(file_ids)} classes "
            f"and predicted class id should be in [0, {len(file_ids) - 1}]."
        )
        return {**instance, "category_id": file_ids[category]}

    def _evaluate_task(
        self, task: str, found: list[dict], img_ids: list | None
    ) -> dict[str, float]:
        if not found:  # pycocotools cannot load an empty list
            logger.warning("No predictions from the model!")
            return dict.fromkeys(_METRICS, float("nan"))
        if task == "segm":  # with a box, pycocotools would take the area of the box
            found = [{k: v for k, v in f.items() if k != "bbox"} for f in found]
        coco_eval = COCOeval(self._coco_api, self._coco_api.loadRes(found), task)
        if img_ids is not None:
            coco_eval.params.imgIds = img_ids
        coco_eval.evaluate()
        coco_eval.accumulate()
        coco_eval.summarize()
        stats = coco_eval.stats[: len(_METRICS)]
        results = dict(zip(_METRICS, map(_mean_percent, stats), strict=True))
        names = self._metadata.get("thing_classes") or ()
        if len(names) > 1:  # precision: (IoU thresholds, recalls, classes, areas, detections)
            precision = coco_eval.eval["precision"][..., 0, -1]
            for index, name in enumerate(names):
                results[f"AP-{name}"] = _mean_percent(precision[:, :, index])
        table = tabulate([results], headers="keys", tablefmt="pipe", floatfmt=".3f")
        logger.info("Evaluation results for %s:\n%s", task, table)
        return results


def _mean_percent(precision: np.ndarray) -> float:
    """Mean over what is defined; pycocotools marks with -1 what is not."""
    valid = precision[precision > -1]
    return float(valid.mean() * 100) if valid.size else float("nan")


def instances_to_coco_json(instances: Instances, img_id: Any) -> list[dict[str, Any]]:
    """Predictions of one image, on the CPU, in COCO's result format; masks become RLE."""
    boxes = instances.pred_boxes.tensor.numpy()
    boxes = BoxMode.convert(boxes, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS).tolist()
    scores, classes = instances.scores.tolist(), instances.pred_classes.tolist()
    results = [
        {"image_id": img_id, "category_id": category, "bbox": box, "score": score}
        for category, box, score in zip(classes, boxes, scores, strict=True)
    ]
    if instances.has("pred_masks"):
        for result, mask in zip(results, instances.pred_masks, strict=True):
            rle = mask_util.encode(np.asfortranarray(mask, dtype=np.uint8))
            rle["counts"] = rle["counts"].decode("ascii")  # json knows no bytes
            result["segmentation"] = rle
    return results
