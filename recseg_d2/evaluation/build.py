"""The evaluator of a data set, chosen by its metadata. May use: detectron2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.evaluation import COCOEvaluator, DatasetEvaluator

from recseg_d2.errors import UserError
from recseg_d2.evaluation.leaf import LeafEvaluator
from recseg_d2.evaluation.voc_segm import VocSegmEvaluator
from recseg_d2.metrics import DEFAULT_METRICS

EvaluatorFactory = Callable[[str, str], DatasetEvaluator]

# What MetadataCatalog.get(name).evaluator_type may be: (data set, output folder) -> evaluator.
EVALUATORS: dict[str, EvaluatorFactory] = {
    "leaf": lambda name, folder: LeafEvaluator(name, _metrics(name), output_dir=folder),
    # A cached conversion would outlive a change of the data set's annotations, so none is used.
    "coco": lambda name, folder: COCOEvaluator(
        name, tasks=("bbox", "segm"), output_dir=folder, allow_cached_coco=False
    ),
    "voc_segm": lambda name, folder: VocSegmEvaluator(name, output_dir=folder),
}


def build_evaluator(
    cfg: CfgNode, dataset_name: str, output_dir: str | Path | None = None
) -> DatasetEvaluator:
    """The evaluator for a data set by its ``evaluator_type``.

    Args:
        cfg: gives the default of ``output_dir``.
        dataset_name: a registered data set.
        output_dir: where evaluators write their files; None is ``cfg.OUTPUT_DIR/inference``.

    Raises:
        UserError: the data set's metadata has no ``evaluator_type``, or an unknown one.
    """
    folder = Path(output_dir) if output_dir is not None else Path(cfg.OUTPUT_DIR) / "inference"
    return EVALUATORS[evaluator_type(dataset_name)](dataset_name, str(folder))


def _metrics(dataset_name: str) -> tuple[str, ...]:
    """Names of the class-agnostic metrics that a data set's own protocol asks for."""
    return tuple(MetadataCatalog.get(dataset_name).get("metrics", DEFAULT_METRICS))


def evaluator_type(dataset_name: str) -> str:
    """The key in ``EVALUATORS`` for a data set.

    Raises:
        UserError: the data set's metadata has no ``evaluator_type``, or an unknown one.
    """
    kind = MetadataCatalog.get(dataset_name).get("evaluator_type")
    if kind not in EVALUATORS:
        raise UserError(
            f"data set {dataset_name!r}: found evaluator_type {kind!r}, expected one of "
            f"{', '.join(EVALUATORS)}; set MetadataCatalog.get({dataset_name!r}).evaluator_type."
        )
    return kind
