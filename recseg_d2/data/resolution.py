"""The size at which images reach a model, and how many of their objects do.

Chosen by INPUT.RESIZE: models that find objects one at a time work at one resolution and emit at
most MODEL.RECURRENT.STEPS objects; fully convolutional ones take any size and any number.
"""

from __future__ import annotations

from detectron2.config import CfgNode
from detectron2.data import transforms as T

from recseg_d2.errors import UserError

WORKING, SHORTEST_EDGE = "working", "shortest_edge"


def build_resize(cfg: CfgNode, is_train: bool) -> T.Augmentation:
    """The last step of a mapper.

    "working" brings images to MODEL.RECURRENT.IMAGE_SIZE. "shortest_edge" keeps their proportions:
    the shorter side becomes one of INPUT.MIN_SIZE_TRAIN (the scale jitter), or INPUT.MIN_SIZE_TEST
    (0 leaves it as it is), unless the longer one then exceeds INPUT.MAX_SIZE_TRAIN or _TEST.
    """
    given = cfg.INPUT
    if not _takes_any_size(cfg):
        return T.Resize(tuple(int(side) for side in cfg.MODEL.RECURRENT.IMAGE_SIZE))
    if not is_train:
        return T.ResizeShortestEdge(given.MIN_SIZE_TEST, given.MAX_SIZE_TEST, "choice")
    style = given.MIN_SIZE_TRAIN_SAMPLING
    return T.ResizeShortestEdge(given.MIN_SIZE_TRAIN, given.MAX_SIZE_TRAIN, style)


def max_instances(cfg: CfgNode) -> int | None:
    """Most objects of an image that a model can use; None: all."""
    return None if _takes_any_size(cfg) else cfg.MODEL.RECURRENT.STEPS


def _takes_any_size(cfg: CfgNode) -> bool:
    found = cfg.INPUT.RESIZE
    if found not in (WORKING, SHORTEST_EDGE):
        raise UserError(f"INPUT.RESIZE: found {found!r}, expected {WORKING} or {SHORTEST_EDGE}.")
    return found == SHORTEST_EDGE
