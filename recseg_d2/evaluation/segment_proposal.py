"""Evaluator of type "segment_proposal": average recall of mask proposals.

``recseg_d2.metrics.average_recall`` has the maths.

In the output folder:
    proposals_<data set>.json         the proposals themselves, see ``data.coco_results``
    average_recall_<data set>.json    AR@N by both definitions and by size, and the curves
    recall_iou_<data set>.png         recall against IoU at each N, where matplotlib is installed
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.structures import Instances
from tabulate import tabulate

from recseg_d2 import rle
from recseg_d2.data.coco_results import (
    PROPOSAL_CATEGORY,
    Entry,
    image_of,
    results_of,
    save_results,
)
from recseg_d2.evaluation.base import ImageEvaluator, masks_of_size
from recseg_d2.evaluation.ground_truth import true_masks
from recseg_d2.files import save_scores
from recseg_d2.metrics.average_recall import LIMITS, SIZES, AverageRecall, ImageRecall
from recseg_d2.visualization.plots import draw_recall_curves, has_matplotlib, save_plot

logger = logging.getLogger(__name__)

CURVE_IOUS = np.linspace(0.5, 1.0, 101)  # of the saved curves


class SegmentProposalEvaluator(ImageEvaluator):
    """Recall of class-agnostic mask proposals, at each image's native size.

    Models that return "proposals" are scored on those, ranked by ``objectness_logits``; others on
    their "instances", ranked by ``scores``. Classes are not looked at. Each process keeps run
    lengths and numbers of its images.

    Sizes of objects are the annotations' "area" where they have one, as in COCO's files, else their
    pixels.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        output_dir: folder that the files described above are written to; None writes nothing.
        limits: numbers N of proposals that recall is averaged for, increasing.
        continuous: report the continuous definition of average recall instead of COCO's; the file
            has both.
        distributed: whether results are gathered from all processes; else only this process's
            images count.
    """

    kind = "segment_proposal"

    def __init__(
        self,
        dataset_name: str,
        output_dir: str | Path | None = None,
        limits: Sequence[int] = LIMITS,
        continuous: bool = False,
        distributed: bool = True,
    ) -> None:
        super().__init__(dataset_name, output_dir, distributed)
        self._limits = tuple(limits)
        self._continuous = continuous

    def compare(
        self, record: dict[str, Any], output: dict[str, Any]
    ) -> tuple[ImageRecall, list[Entry]]:
        """What counts for recall, and the proposals as they are saved."""
        # proposals beyond the largest N change no number, and are most of what some models return
        best, scores = ranked(output, self._limits[-1])
        entries = results_of(record["image_id"], masks_of_size(best, record), scores)
        true = true_masks(record)
        pixels = rle.areas(true.rles).tolist()
        areas = [a.get("area", n) for a, n in zip(true.annotations, pixels, strict=True)]
        ious = rle.overlaps([entry["segmentation"] for entry in entries], true.rles, true.crowd)
        order = true.classes.argsort(kind="stable")  # in which COCOeval takes the objects
        found = ious[:, order], true.crowd[order], np.array(areas)[order]
        return AverageRecall(self._limits).measure(*found), entries

    def summarize(self, images: dict[Any, tuple[ImageRecall, list[Entry]]]) -> dict[str, float]:
        """Average recall over all objects in 0..100, NaN where there is no object of the size.

        Returns:
            {"AR@10": .., "AR@100": .., "AR@1000": .., "AR@10-small": .., ..}.
        """
        # without the proposals themselves, which only the file needs
        kept = {image_id: of_image for image_id, (of_image, _) in images.items()}
        recall = AverageRecall(self._limits, images=kept)
        logger.info("%s:\n%s", self.dataset_name, recall_table(recall))
        if self.output_dir is not None:
            self._save(recall, [entry for _, entries in images.values() for entry in entries])
        return recall.summary(self._continuous)

    def _save(self, recall: AverageRecall, entries: list[Entry]) -> None:
        folder, name = Path(str(self.output_dir)), self.dataset_name
        records = map(self.truth.record, recall.images)
        images = [image_of(r, (r["height"], r["width"])) for r in records]
        path = folder / f"proposals_{name}.json"
        save_results(path, entries, images, [PROPOSAL_CATEGORY], name)
        save_scores(folder / f"average_recall_{name}.json", recall_numbers(recall))
        if not has_matplotlib():
            logger.warning(
                "recall_iou_%s.png needs matplotlib: pip install 'recseg_d2[plots]'.", name
            )
            return
        curves = {
            f"{limit} proposals": {size: recall.curve(CURVE_IOUS, size)[k] for size in SIZES}
            for k, limit in enumerate(recall.limits)
        }
        draw = partial(draw_recall_curves, CURVE_IOUS, curves)
        save_plot(folder / f"recall_iou_{name}.png", draw)


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


def ranked(output: dict[str, Any], limit: int) -> tuple[Instances, np.ndarray]:
    """The best proposals of an image, the best first; of equal ones the first.

    Args:
        output: what the model gave for the image, see ``SegmentProposalEvaluator``.
        limit: most entries to return.

    Returns:
        P proposals on the CPU and their (P,) float64 scores, probabilities.
    """
    found: Instances = output["proposals"] if "proposals" in output else output["instances"]
    found = found.to("cpu")
    if found.has("objectness_logits"):
        # in double precision, certain proposals keep their order as probabilities
        scores = found.objectness_logits.double().sigmoid()
    else:
        scores = found.scores.double()
    order = scores.argsort(descending=True, stable=True)[:limit]
    return found[order], scores[order].numpy()


def _key(limit: int, size: str) -> str:
    return f"AR@{limit}" + ("" if size == "all" else f"-{size}")
