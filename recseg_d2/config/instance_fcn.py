"""MODEL.INSTANCE_FCN."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_instance_fcn(cfg: CN) -> None:
    """InstanceFCNProposal (Dai et al. 2016); lengths are shares of the window's side."""
    node = cfg.MODEL.INSTANCE_FCN = CN()
    node.FEATURE = ""  # the backbone's feature map to use; empty: its finest
    node.MASK_HEAD = "assembling"  # assembling | deepmask (table 2's baseline)
    node.PARTS = 5  # k: relative positions a side, k * k score maps
    node.WINDOW = 21  # m: the window's side in cells of the score maps
    node.BRANCH_WIDTH = 512  # channels of each branch's first convolution
    node.MASK_SIDE = 56  # of deepmask's masks, in mask pixels a side
    node.SCORE_WIDTH = 1024  # of the last fully connected layer before deepmask's score
    node.CROP_SIZE = 0  # train on crops of this many pixels a side; 0: on whole images
    node.NUM_WINDOWS = 256  # sampled an image
    node.POSITIVE_FRACTION = 0.5  # most of them that are positive
    node.OBJECT_SIDE = 4 / 7  # longer side of an object that fits (128 of DeepMask's 224 pixels)
    node.POSITIVE_SHIFT = 1 / 14  # most that a positive's centre is off, along either axis
    node.POSITIVE_OCTAVES = 0.3  # most that its size is off; 0.25 leaves gaps between the scales
    node.NEGATIVE_SHIFT = 1 / 7  # least that a negative's centre is off every object of its size
    node.NEGATIVE_OCTAVES = 1.0  # least that an object's size is off not to count for that
    node.SOFT_TARGETS = False  # a cell's target is the share of it that is covered, not 0 or 1
    node.MASK_WEIGHT = 1.0
    node.OBJECTNESS_WEIGHT = 1.0
    _add_test(node)


def _add_test(instance_fcn: CN) -> None:
    """Inference."""
    node = instance_fcn.TEST = CN()
    node.SCALES = tuple(600 * 1.5**power for power in range(-4, 2))  # shorter sides, pixels
    node.MAX_SIDE = 2000  # longest side in pixels: a scale that exceeds it is reduced
    node.MASK_THRESH = 0.4  # a pixel belongs to a mask where its probability is above this
    node.NMS_THRESH = 0.8  # a proposal goes where its box overlaps a better one's by more
    node.PRE_NMS_TOPK = 2000  # best windows of each scale that may be assembled; 0: all
    node.TOPK = 1000  # N: proposals an image; each is a mask of its size, 0.3 GB for 640 x 480
    node.INSTANCE_SCORE_THRESH = 0.5  # proposals with at least this objectness are instances too
    node.INSTANCE_NMS_THRESH = 0.5  # as NMS_THRESH, among instances
    node.INSTANCE_TOPK = 100  # most instances an image
