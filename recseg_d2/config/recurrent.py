"""MODEL.RECURRENT."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_recurrent(cfg: CN) -> None:
    """What every model that finds objects one at a time shares."""
    node = cfg.MODEL.RECURRENT = CN()
    node.IMAGE_SIZE = (256, 256)  # working resolution, height and width in pixels
    node.NUM_CLASSES = 1
    node.STEPS = 10  # most objects that the model can emit for an image
    node.PRECISION = "float32"  # or bfloat16: faster where the processor has it, in all devices
    node.SCORE_THRESH_TEST = 0.5  # the sequence stops at the first step scored below this
    node.MASK_THRESH_TEST = 0.5  # probability above which a pixel belongs to the mask
    node.EXCLUSIVE_TEST = False  # a pixel goes to its most probable instance only
    node.WEIGHTED_TEST = False  # masks are multiplied by their score before anything else
    node.MIN_AREA_TEST = 0.0  # masks under this share of the image's area are dropped
