"""MODEL.SMALL_ENCODER, SMALL_PYRAMID and VGG16."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_encoders(cfg: CN) -> None:
    """Encoders of the package; ResNets are configured by Detectron2's MODEL.RESNETS."""
    node = cfg.MODEL.SMALL_ENCODER = CN()
    node.WIDTHS = (16, 24, 32, 64, 96)  # channels at strides 2, 4, 8, ...
    node.COORDINATES = False  # y, x and radius channels beside the image
    node = cfg.MODEL.SMALL_PYRAMID = CN()
    node.WIDTHS = (16, 32, 64, 96)  # channels at strides 2, 4, 8, ...; multiples of 8
    node.BLOCKS = (0, 1, 1, 1)  # residual blocks at each
    node.OUT_WIDTH = 64  # channels of its feature map
    node.STRIDE = 4  # of its feature map
    cfg.MODEL.VGG16 = CN()
    cfg.MODEL.VGG16.STRIDE = 8  # of conv5_3: 8, with holes, or 16
