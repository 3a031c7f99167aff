"""MODEL.RSIS."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_rsis(cfg: CN) -> None:
    """ConvLSTMSemInstSeg (Salvador et al. 2017)."""
    node = cfg.MODEL.RSIS = CN()
    node.HIDDEN_WIDTHS = (128, 128, 64, 32, 16)  # one ConvLSTM each, deepest first; 1 to 5 of them
    node.SKIP_MODE = "concat"  # concat | sum | mul | none
    node.COORDINATES = False  # y, x and radius channels in each skip (beyond the paper)
    node.FORGET_BIAS = 0.0  # added to the forget gates' initial bias
    node.BOX_HEAD = True
    node.MASK_WEIGHT = 1.0
    node.BOX_WEIGHT = 1.0  # the paper's alpha
    node.CLASS_WEIGHT = 0.1  # the paper's lambda
    node.STOP_WEIGHT = 0.5  # the paper's gamma
    node.STOP_SLOT_WEIGHT = (
        1.0  # weight, within the stop loss, of the one step after the last object
    )
