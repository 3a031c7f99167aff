"""MODEL.SMALL_ENCODER. May use: detectron2.config."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_encoders(cfg: CN) -> None:
    """The small encoder."""
    node = cfg.MODEL.SMALL_ENCODER = CN()
    node.WIDTHS = (16, 24, 32, 64, 96)  # channels at strides 2, 4, 8, ...
    node.COORDINATES = False  # y, x and radius channels beside the image
