"""MODEL.PROPOSAL_CLASSIFIER."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_proposal_classifier(cfg: CN) -> None:
    """MaskProposalClassifier (Dai et al. 2016, table 4); its classes are RECURRENT.NUM_CLASSES."""
    node = cfg.MODEL.PROPOSAL_CLASSIFIER = CN()
    node.FEATURE = ""  # the backbone's feature map to use; empty: its coarsest
    node.REGION_SIDE = 14  # cells a side of the grid on which a box's features are masked
    node.REGION_SAMPLES = 1  # points of the features a cell and axis, averaged (1: MNC's)
    node.POOLING = 2  # cells a side that max-pooling then makes one of
    node.FC_WIDTH = 4096  # of both fully connected layers
    node.BOX_PATHWAY = False  # two more of them, that see the features unmasked (MNC's)
    node.DROPOUT = 0.5
    node.NUM_PROPOSALS = 128  # an image to train on
    node.FOREGROUND_FRACTION = 0.25  # most of them that are foreground
    node.FOREGROUND_IOU = 0.5  # least mask IoU with an object to get its class
    node.BACKGROUND_IOU = (0.0, 0.5)  # background's largest IoU is in [first, second)
    node.ADD_GROUND_TRUTH = True  # objects' own masks are proposals to train on, too
    _add_test(node)


def _add_test(proposal_classifier: CN) -> None:
    """Inference; TEST.DETECTIONS_PER_IMAGE says how many instances an image may have."""
    node = proposal_classifier.TEST = CN()
    node.MERGE = "voting"  # voting: means of overlapping masks | nms: the best masks themselves
    node.OVERLAP = "box"  # box | mask: whose IoU the next two thresholds are of
    node.NMS_THRESH = 0.3  # a proposal goes where a better one of its class overlaps it by more
    node.MERGE_THRESH = 0.5  # least overlap of proposals whose masks are averaged
    node.MASK_THRESH = 0.4  # a pixel belongs to an averaged mask where the mean is at least this
    node.SCORE_THRESH = 0.001  # least probability of a class
