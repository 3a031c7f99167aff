"""Evaluators of registered data sets, over ``recseg_d2.metrics``."""

from recseg_d2.evaluation.build import EVALUATORS, build_evaluator
from recseg_d2.evaluation.cityscapes import CityscapesEvaluator, score_submission
from recseg_d2.evaluation.coco_agnostic import ClassAgnosticCOCOEvaluator
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.evaluation.leaf import LeafEvaluator
from recseg_d2.evaluation.predictions import PredictionRecorder, load_predictions
from recseg_d2.evaluation.segment_proposal import SegmentProposalEvaluator
from recseg_d2.evaluation.voc_segm import VocSegmEvaluator

__all__ = [
    "EVALUATORS",
    "CityscapesEvaluator",
    "ClassAgnosticCOCOEvaluator",
    "GroundTruth",
    "LeafEvaluator",
    "PredictionRecorder",
    "SegmentProposalEvaluator",
    "VocSegmEvaluator",
    "build_evaluator",
    "load_predictions",
    "score_submission",
]
