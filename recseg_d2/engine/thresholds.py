"""The least score of an object that is kept, which each kind of model has at a key of its own."""

from __future__ import annotations

from detectron2.config import CfgNode
from detectron2.modeling import META_ARCH_REGISTRY

from recseg_d2.errors import UserError


def score_thresh(cfg: CfgNode) -> float:
    """The least score, 0 to 1, of the config's model.

    Raises:
        UserError: the model has none.
    """
    node = cfg
    for name in _score_key(cfg).split("."):
        node = node[name]
    return float(node)


def set_score_thresh(cfg: CfgNode, least: float) -> None:
    """Set it, 0 to 1, in a config that is not frozen.

    Raises:
        UserError: the config's model has none.
    """
    cfg.merge_from_list([_score_key(cfg), float(least)])


def _score_key(cfg: CfgNode) -> str:
    name = cfg.MODEL.META_ARCHITECTURE
    key: str = getattr(META_ARCH_REGISTRY.get(name), "score_key", "")
    if not key:
        raise UserError(
            f"MODEL.META_ARCHITECTURE is {name}, which has no least score of an object: leave out "
            "--score-thresh, and set TEST.THRESHOLD_IMAGES 0; a model of your own names its key "
            "in `score_key`."
        )
    return key
