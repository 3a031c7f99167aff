"""The evaluator of a data set, chosen by its metadata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator

from recseg_d2.config import read_options
from recseg_d2.config.options import EvaluationOptions
from recseg_d2.errors import UserError
from recseg_d2.evaluation.cityscapes import CityscapesEvaluator
from recseg_d2.evaluation.coco import CocoFileEvaluator
from recseg_d2.evaluation.coco_agnostic import ClassAgnosticCOCOEvaluator
from recseg_d2.evaluation.cvppp_submission import CvpppSubmissionEvaluator
from recseg_d2.evaluation.every_class import EveryClassEvaluator
from recseg_d2.evaluation.label_map import LabelMapEvaluator
from recseg_d2.evaluation.segment_proposal import SegmentProposalEvaluator
from recseg_d2.evaluation.voc_segm import VocSegmEvaluator
from recseg_d2.metrics import DEFAULT_METRICS

EvaluatorFactory = Callable[[str, str], DatasetEvaluator]

# What MetadataCatalog.get(name).evaluator_type may be: (data set, output folder) -> evaluator.
EVALUATORS: dict[str, EvaluatorFactory] = {
    "label_map": lambda name, folder: LabelMapEvaluator(name, _metrics(name), folder),
    "coco": CocoFileEvaluator,
    "coco_agnostic": ClassAgnosticCOCOEvaluator,
    "segment_proposal": SegmentProposalEvaluator,
    "recseg_cityscapes": CityscapesEvaluator,
    "voc_segm": VocSegmEvaluator,
    "cvppp_submission": CvpppSubmissionEvaluator,
}

# Those of average precision by class, which TEST.ALL_CLASSES concerns.
OF_CLASSES = ("coco", "recseg_cityscapes", "voc_segm")


def build_evaluator(
    cfg: CfgNode, dataset_name: str, output_dir: str | Path | None = None
) -> DatasetEvaluator:
    """The evaluator for a data set, see ``evaluator_type``.

    Args:
        cfg: a config, which gives ``TEST.EVALUATOR``, ``TEST.ALL_CLASSES`` and the default of
            ``output_dir``.
        dataset_name: a name in ``DatasetCatalog``.
        output_dir: folder that the evaluator writes its files to; None is
            ``cfg.OUTPUT_DIR/inference``.

    Raises:
        UserError: as ``evaluator_type``.
    """
    folder = Path(output_dir) if output_dir is not None else Path(cfg.OUTPUT_DIR) / "inference"
    kind = evaluator_type(cfg, dataset_name)
    evaluator = EVALUATORS[kind](dataset_name, str(folder))
    if read_options(cfg, EvaluationOptions).all_classes and kind in OF_CLASSES:
        return EveryClassEvaluator(evaluator)
    return evaluator


def evaluator_type(cfg: CfgNode, dataset_name: str) -> str:
    """The key in ``EVALUATORS`` for a data set: ``TEST.EVALUATOR``, or else its metadata's.

    Raises:
        UserError: ``TEST.EVALUATOR`` is unknown; or it is empty, and the data set's metadata has no
            ``evaluator_type``, or an unknown one.
    """
    chosen = read_options(cfg, EvaluationOptions).evaluator
    # the config goes first: proposals may be scored on any data set, whatever its own evaluator is
    if chosen in EVALUATORS:
        return chosen
    known = ", ".join(EVALUATORS)
    if chosen:
        raise UserError(
            f"TEST.EVALUATOR is {chosen!r}; expected one of {known}, or nothing for "
            "the data set's own."
        )
    kind = MetadataCatalog.get(dataset_name).get("evaluator_type")
    if kind not in EVALUATORS:
        raise UserError(
            f"data set {dataset_name!r}: found evaluator_type {kind!r}, expected one of {known}; "
            f"set MetadataCatalog.get({dataset_name!r}).evaluator_type, or TEST.EVALUATOR."
        )
    return kind


def _metrics(dataset_name: str) -> tuple[str, ...]:
    """Names of the class-agnostic metrics that a data set's own protocol asks for."""
    return tuple(MetadataCatalog.get(dataset_name).get("metrics", DEFAULT_METRICS))
