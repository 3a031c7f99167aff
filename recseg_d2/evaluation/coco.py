"""Evaluator of type "coco": COCO's AP of boxes and masks, as Detectron2 computes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import COCOEvaluator

from recseg_d2.data.annotations import IGNORED
from recseg_d2.evaluation.ground_truth import scored_annotations
from recseg_d2.files import moved_when_whole

SUFFIX = "_with_crowds"  # of the registered copies


class CocoFileEvaluator(COCOEvaluator):
    """Detectron2's ``COCOEvaluator``, whose files are whole or absent.

    Average precision of boxes and masks in 0..100; NaN where it is not defined.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        output_dir: folder that the predictions and COCO's result file are written to, and the
            ground truth where the data set is in no COCO file.
        distributed: whether results are gathered from all processes; else only this process's
            images count.
    """

    def __init__(self, dataset_name: str, output_dir: str | Path, distributed: bool = True) -> None:
        super().__init__(
            with_crowds_for_unknown(dataset_name),
            tasks=("bbox", "segm"),
            distributed=distributed,
            output_dir=str(output_dir),
            # a cached conversion would outlive a change of the data set's annotations
            allow_cached_coco=False,
        )

    def evaluate(self, img_ids: list[Any] | None = None) -> dict[str, Any]:
        """{"bbox": {"AP": ...}, "segm": {...}} of some images or of all; {} where there is none."""
        final = self._output_dir
        try:
            with moved_when_whole(str(final)) as folder:
                self._output_dir = str(folder)
                return super().evaluate(img_ids)
        finally:
            self._output_dir = final


def with_crowds_for_unknown(dataset_name: str) -> str:
    """The name of a data set whose unknown regions are crowd regions of every class.

    Args:
        dataset_name: a name in ``DatasetCatalog``.

    Returns:
        The same name where nothing is unknown, as in COCO's files; else that of a registered copy,
        which is drawn up anew at each use.
    """
    if not any(IGNORED in record for record in DatasetCatalog.get(dataset_name)):
        return dataset_name
    classes = list(MetadataCatalog.get(dataset_name).thing_classes)
    name = f"{dataset_name}{SUFFIX}"
    if name in DatasetCatalog.list():
        # The metadata remember the file that an earlier evaluator converted to.
        MetadataCatalog.remove(name)
        DatasetCatalog.remove(name)
    DatasetCatalog.register(name, lambda: _dicts_with_crowds(dataset_name, len(classes)))
    MetadataCatalog.get(name).set(thing_classes=classes, evaluator_type="coco")
    return name


def _dicts_with_crowds(dataset_name: str, num_classes: int) -> list[dict[str, Any]]:
    return [
        {**record, "annotations": scored_annotations(record, range(num_classes))}
        for record in DatasetCatalog.get(dataset_name)
    ]
