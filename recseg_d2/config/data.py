"""The keys added to INPUT and TEST."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_data(cfg: CN) -> None:
    """Augmentations, and what an evaluation computes and draws."""
    cfg.INPUT.RESIZE = "working"  # MODEL.RECURRENT.IMAGE_SIZE | shortest_edge: MIN_SIZE_TRAIN, TEST
    cfg.INPUT.AUGS = ["hflip"]  # any of hflip, vflip, transpose, affine, color; in this order
    node = cfg.INPUT.AFFINE = CN()
    node.ROTATION = 10.0  # degrees, either way
    node.TRANSLATION = 0.1  # share of the image's side, either way
    node.SHEAR = 0.1  # degrees, either way
    node.ZOOM = (1.0, 1.43)  # magnification, drawn for each axis
    cfg.TEST.VAL_LOSS = True  # the training loss on DATASETS.TEST at every evaluation
    cfg.TEST.EVALUATOR = (
        ""  # a type of evaluator instead of the data set's own, as segment_proposal
    )
    cfg.TEST.NUM_PICTURES = 4  # images of DATASETS.TEST drawn at every evaluation
    cfg.TEST.PICTURE_SCORE_THRESH = 0.0  # instances scored lower are left out of the pictures
    # keep what was predicted in OUTPUT_DIR/inference, for `recseg analyze`; of an image at most
    # the DETECTIONS_PER_IMAGE best
    cfg.TEST.SAVE_PREDICTIONS = True
