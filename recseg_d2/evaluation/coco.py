"""Evaluator of type "coco": COCO's AP of boxes and masks, as Detectron2 computes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detectron2.evaluation import COCOEvaluator

from recseg_d2.files import moved_when_whole


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
            dataset_name,
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
