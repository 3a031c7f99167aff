"""The least score of an object that is kept, which each kind of model has at a key of its own."""

from __future__ import annotations

from detectron2.config import CfgNode

SEQUENTIAL = "MODEL.SEQUENTIAL.TEST.SCORE_THRESH"
DENSE = "MODEL.DENSE_ATTENTION.TEST.SCORE_THRESH"
PROPOSALS = "MODEL.INSTANCE_FCN.TEST.INSTANCE_SCORE_THRESH"

_KEYS = {"DenseAttentionSeg": DENSE, "InstanceFCNProposal": PROPOSALS}  # others are sequential


def score_thresh(cfg: CfgNode) -> float:
    """The least score, 0 to 1, of the config's model."""
    node = cfg
    for name in _KEYS.get(cfg.MODEL.META_ARCHITECTURE, SEQUENTIAL).split("."):
        node = node[name]
    return float(node)


def set_score_thresh(cfg: CfgNode, least: float) -> None:
    """Set it, 0 to 1, in a config that is not frozen, whatever its model is."""
    cfg.merge_from_list([x for key in (SEQUENTIAL, DENSE, PROPOSALS) for x in (key, float(least))])
