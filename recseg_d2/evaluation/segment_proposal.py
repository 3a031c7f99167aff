"""Evaluator of type "segment_proposal": average recall of mask proposals.

``recseg_d2.metrics.average_recall`` has the maths.

In the output folder:
    proposals_<data set>.json         the proposals themselves, see ``data.proposal_files``
    average_recall_<data set>.json    AR@N by both definitions and by size, and the curves
    recall_iou_<data set>.png         recall against IoU at each N, where matplotlib is installed
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances
from pycocotools import mask as coco_mask
from tabulate import tabulate

from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.data.proposal_files import encode_masks, proposals_to_results, save_proposals
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.evaluation.shared import gather_parts, masks_of_size, warn_of_gaps
from recseg_d2.files import save_scores
from recseg_d2.metrics.average_recall import LIMITS, SIZES, AverageRecall
from recseg_d2.visualization.recall_curves import save_recall_curves

logger = logging.getLogger(__name__)

CURVE_IOUS = np.linspace(0.5, 1.0, 101)  # of the saved curves


class SegmentProposalEvaluator(DatasetEvaluator):
    """Recall of class-agnostic mask proposals, at each image's native size.

    Models that return "proposals" are scored on those, ranked by ``objectness_logits``; others on
    their "instances", ranked by ``scores``. Classes are not looked at. Each process scores its own
    images and keeps run lengths and numbers; an image that several processes saw counts once.

    Sizes of objects are the annotations' "area" where they have one, as in COCO's files, else their
    pixels.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        output_dir: where the files described above are written; None writes nothing.
        limits: numbers N of proposals.
        continuous: report the continuous definition of average recall instead of COCO's; the file
            has both.
        distributed: gather from all processes; else only this process's images count.
    """

    def __init__(
        self,
        dataset_name: str,
        output_dir: str | Path | None = None,
        limits: Sequence[int] = LIMITS,
        continuous: bool = False,
        distributed: bool = True,
    ) -> None:
        self._dataset_name = dataset_name
        self._output_dir = output_dir
        self._limits = tuple(limits)
        self._continuous = continuous
        self._distributed = distributed
        self._truth = GroundTruth(dataset_name)
        self.reset()

    def reset(self) -> None:
        """Forget all proposals."""
        self._recall = AverageRecall(self._limits)
        self._proposals: dict[str | int, list[dict[str, Any]]] = {}

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Score a batch.

        Args:
            inputs: dicts with "image_id", as the data loader yields them.
            outputs: dicts with "proposals" (``pred_masks`` (P, H, W) bool, ``objectness_logits``
                (P,)) or "instances" (``pred_masks``, ``scores``), at the native size of the image.

        Raises:
            UserError: an image is not of the data set, or a prediction is not of its size.
        """
        for given, output in zip(inputs, outputs, strict=True):
            record = self._truth.record(given["image_id"])
            masks, scores = ranked_masks(output, self._limits[-1])
            masks = masks_of_size(masks, record)
            found = proposals_to_results(record["image_id"], masks, scores)
            rles, crowd, areas = true_objects(record)
            ious = overlaps([entry["segmentation"] for entry in found], rles, crowd)
            self._recall.update(record["image_id"], ious, crowd, areas)
            self._proposals[record["image_id"]] = found

    def evaluate(self) -> dict[str, dict[str, float]]:
        """Average recall over all objects.

        Returns:
            {"segment_proposal": {"AR@10": .., "AR@100": .., "AR@1000": .., "AR@10-small": .., ..}}
            in 0..100, NaN where there is no object of the size, in the main process; {} in the
            others.
        """
        gathered = self._gathered()
        if gathered is None:
            return {}
        recall, proposals = gathered
        warn_of_gaps(logger, self._dataset_name, len(recall.images), self._truth)
        logger.info("%s:\n%s", self._dataset_name, recall_table(recall))
        if self._output_dir is not None:
            self._save(recall, proposals)
        return {"segment_proposal": recall.summary(self._continuous)}

    def _gathered(self) -> tuple[AverageRecall, list[dict[str, Any]]] | None:
        """Numbers and proposals of all processes in the main one, None in the others."""
        parts = gather_parts((self._recall.images, self._proposals), self._distributed)
        if not parts:
            return None
        recall = AverageRecall(self._limits)
        proposals: dict[str | int, list[dict[str, Any]]] = {}
        for images, found in parts:
            recall.merge(images)
            proposals |= found
        in_order = [proposals.get(record["image_id"], []) for record in self._truth.records]
        return recall, [entry for entries in in_order for entry in entries]

    def _save(self, recall: AverageRecall, proposals: list[dict[str, Any]]) -> None:
        folder, name = Path(str(self._output_dir)), self._dataset_name
        save_proposals(folder / f"proposals_{name}.json", proposals)
        save_scores(folder / f"average_recall_{name}.json", recall_numbers(recall))
        if importlib.util.find_spec("matplotlib") is None:
            logger.warning(
                "recall_iou_%s.png needs matplotlib: pip install 'recseg_d2[plots]'.", name
            )
            return
        curves = {
            f"{limit} proposals": {size: recall.curve(CURVE_IOUS, size)[k] for size in SIZES}
            for k, limit in enumerate(recall.limits)
        }
        save_recall_curves(folder / f"recall_iou_{name}.png", CURVE_IOUS, curves)


def recall_numbers(recall: AverageRecall) -> dict[str, Any]:
    """All that is known, ready for JSON: both definitions by size, recall by IoU, the curves."""
    by_threshold = recall.recalls()[0]
    curves = recall.curve(CURVE_IOUS)
    return {
        "images": len(recall.images),
        "objects": recall.best_overlaps().shape[1],
        "coco": recall.summary(),
        "continuous": recall.summary(continuous=True),
        "recall": {
            "iou": recall.thresholds.tolist(),
            **{str(n): by_threshold[k].tolist() for k, n in enumerate(recall.limits)},
        },
        "curve": {
            "iou": CURVE_IOUS.tolist(),
            **{str(n): curves[k].tolist() for k, n in enumerate(recall.limits)},
        },
    }


def recall_table(recall: AverageRecall) -> str:
    """A row for each N: COCO's average recall by size, and the continuous one."""
    coco, continuous = recall.summary(), recall.summary(continuous=True)
    rows = [
        {
            "N": limit,
            **{f"AR {size}": coco[_key(limit, size)] for size in SIZES},
            "AR continuous": continuous[_key(limit, "all")],
        }
        for limit in recall.limits
    ]
    return tabulate(rows, headers="keys", tablefmt="pipe", floatfmt=("d", *[".1f"] * 5))


def ranked_masks(output: dict[str, Any], limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The best proposals of an image, the best first; of equal ones the first.

    Args:
        output: of the model, see ``SegmentProposalEvaluator.process``.
        limit: most of them.

    Returns:
        (P, H, W) bool and (P,) float64 scores, probabilities.
    """
    found: Instances = output["proposals"] if "proposals" in output else output["instances"]
    found = found.to("cpu")
    if found.has("objectness_logits"):
        # in double precision, certain proposals keep their order as probabilities
        scores = found.objectness_logits.double().sigmoid()
    else:
        scores = found.scores.double()
    order = scores.argsort(descending=True, stable=True)[:limit]
    return np.asarray(found.pred_masks[order], dtype=bool), scores[order].numpy()


def true_objects(record: dict[str, Any]) -> tuple[list[dict[str, Any]], np.ndarray, np.ndarray]:
    """The objects of a standard dict, by category and then in its order, as COCOeval takes them.

    Returns:
        RLEs of N objects, (N,) bool crowd regions, (N,) float64 areas.

    Raises:
        UserError: an annotation has no mask, or one of another size than the image.
    """
    shape = (record["height"], record["width"])
    annotations = sorted(record.get("annotations", []), key=lambda a: a["category_id"])
    masks = [
        decode_segmentation(a.get("segmentation"), shape, record["file_name"]) for a in annotations
    ]
    rles = encode_masks(np.stack(masks)) if masks else []
    areas = [a.get("area", mask.sum()) for a, mask in zip(annotations, masks, strict=True)]
    crowd = np.array([bool(a.get("iscrowd", 0)) for a in annotations], dtype=bool)
    return rles, crowd, np.array(areas, dtype=np.float64)


def overlaps(
    found: list[dict[str, Any]], true: list[dict[str, Any]], crowd: np.ndarray
) -> np.ndarray:
    """(P, N) IoU of RLEs; with a crowd region, the share of the proposal that lies in it."""
    if not found or not true:
        return np.zeros((len(found), len(true)))
    return np.asarray(coco_mask.iou(found, true, crowd.astype(int).tolist()))


def _key(limit: int, size: str) -> str:
    return f"AR@{limit}" + ("" if size == "all" else f"-{size}")
