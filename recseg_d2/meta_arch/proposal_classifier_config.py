"""MaskProposalClassifier's parts from a config."""

from __future__ import annotations

from typing import Any

from detectron2.config import CfgNode
from detectron2.modeling import Backbone, build_backbone

from recseg_d2.errors import UserError
from recseg_d2.models.mask_proposal_classifier.network import ProposalClassifier
from recseg_d2.models.mask_proposal_classifier.sampling import SamplingOptions
from recseg_d2.postprocess.mask_voting import MergeOptions


def classifier_arguments(cfg: CfgNode) -> dict[str, Any]:
    """The constructor's arguments from MODEL.PROPOSAL_CLASSIFIER, BACKBONE and PIXEL_*.

    Raises:
        UserError: the backbone lacks the feature map that is named, or a value is unknown.
    """
    node, backbone = cfg.MODEL.PROPOSAL_CLASSIFIER, build_backbone(cfg)
    feature = _feature(backbone, node.FEATURE)
    return {
        "backbone": backbone,
        "feature": feature,
        "classifier": ProposalClassifier(
            backbone.output_shape()[feature].channels or 0,
            cfg.MODEL.RECURRENT.NUM_CLASSES,
            side=node.REGION_SIDE,
            pooling=node.POOLING,
            fc_width=node.FC_WIDTH,
            box_pathway=node.BOX_PATHWAY,
            dropout=node.DROPOUT,
        ),
        "region_samples": node.REGION_SAMPLES,
        "sampling": SamplingOptions(
            number=node.NUM_PROPOSALS,
            foreground_fraction=node.FOREGROUND_FRACTION,
            foreground_iou=node.FOREGROUND_IOU,
            background_iou=tuple(node.BACKGROUND_IOU),
        ),
        "add_ground_truth": node.ADD_GROUND_TRUTH,
        "merging": _merging(cfg),
        "overlap": node.TEST.OVERLAP,
        "pixel_mean": list(cfg.MODEL.PIXEL_MEAN),
        "pixel_std": list(cfg.MODEL.PIXEL_STD),
    }


def _merging(cfg: CfgNode) -> MergeOptions:
    node = cfg.MODEL.PROPOSAL_CLASSIFIER.TEST
    return MergeOptions(
        merge=node.MERGE,
        score_threshold=node.SCORE_THRESH,
        nms_threshold=node.NMS_THRESH,
        merge_threshold=node.MERGE_THRESH,
        mask_threshold=node.MASK_THRESH,
        max_instances=cfg.TEST.DETECTIONS_PER_IMAGE,
    )


def _feature(backbone: Backbone, name: str) -> str:
    """The feature map of that name; empty: that of the largest stride, of equal ones the last."""
    shapes = backbone.output_shape()
    if not name:
        return max(reversed(list(shapes)), key=lambda key: shapes[key].stride or 1)
    if name not in shapes:
        raise UserError(
            f"MODEL.PROPOSAL_CLASSIFIER.FEATURE is {name!r}; expected one of {', '.join(shapes)}."
        )
    return name
