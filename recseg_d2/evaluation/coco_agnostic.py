"""Evaluator of type "coco_agnostic": COCO's AP of boxes and masks, classes aside.

For models that find objects without telling their class, on data sets that have classes. Every
object and every prediction is of the one class "object"; crowds stay crowds. The arithmetic is
Detectron2's ``COCOEvaluator``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Instances

from recseg_d2.evaluation.coco import CocoFileEvaluator

SUFFIX = "_class_agnostic"  # of the registered copies


class ClassAgnosticCOCOEvaluator(CocoFileEvaluator):
    """Average precision in 0..100 over all classes as one; NaN where it is not defined.

    A model that emits a mask once for each class should emit it once here, as copies of a mask are
    false positives.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        output_dir: folder that the ground truth as one class, the predictions and COCO's result
            file are written.
        distributed: whether results are gathered from all processes; else only this process's
            images count.
    """

    def __init__(self, dataset_name: str, output_dir: str | Path, distributed: bool = True) -> None:
        super().__init__(register_class_agnostic(dataset_name), output_dir, distributed)

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Take a batch, as ``COCOEvaluator`` does; the outputs are not changed."""
        found = [{"instances": _as_one_class(o["instances"])} for o in outputs if "instances" in o]
        given = [i for i, o in zip(inputs, outputs, strict=True) if "instances" in o]
        super().process(given, found)


def register_class_agnostic(dataset_name: str) -> str:
    """Register a copy of a data set with a single class; it is drawn up anew at each use.

    Args:
        dataset_name: a name in ``DatasetCatalog``.

    Returns:
        The copy's name, with ``SUFFIX``.
    """
    name = f"{dataset_name}{SUFFIX}"
    if name in DatasetCatalog.list():
        # The metadata remember the file that an earlier evaluator converted to.
        MetadataCatalog.remove(name)
    else:
        DatasetCatalog.register(name, lambda: _one_class_dicts(dataset_name))
    MetadataCatalog.get(name).set(thing_classes=["object"], evaluator_type="coco")
    return name


def _one_class_dicts(dataset_name: str) -> list[dict[str, Any]]:
    return [
        {**r, "annotations": [{**a, "category_id": 0} for a in r.get("annotations", [])]}
        for r in DatasetCatalog.get(dataset_name)
    ]


def _as_one_class(instances: Instances) -> Instances:
    """The same instances with class 0; the fields are shared."""
    one_class = Instances(instances.image_size, **instances.get_fields())
    one_class.pred_classes = torch.zeros(len(instances), dtype=torch.int64)
    return one_class
