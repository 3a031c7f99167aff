"""MODEL.RIS."""

from __future__ import annotations

from detectron2.config import CfgNode as CN

from recseg_d2.models.recurrent_attention import foreground_angle


def add_ris(cfg: CN) -> None:
    """RecurrentAttentionSeg (Ren & Zemel 2017)."""
    node = cfg.MODEL.RIS = CN()
    node.STAGE = "full"  # preprocessor | box | full: what exists and is trained; see SOLVER.PHASES
    node.FULL_SEQUENCES = True  # train all STEPS, as the paper; False: one step more than objects
    node.CANVAS = True  # the external memory; False removes its channel from both networks
    node.CANVAS_GRADIENT = False  # let the gradient through the canvas to earlier steps
    node.NORM = "per_step"  # per_step | shared (batch norms, the code has the first) | group
    node.INIT_STD = 0.01  # of the truncated normal of weights and biases; 0 is PyTorch's own
    node.UNIT_SIZE = 1.0  # share of the image that a log size of 0 is; small for small objects
    node.BETA = 5.0  # logit that masks and boxes have far outside of the window, negated
    node.GAMMA = "shared"  # gain of masks and boxes: shared | separate (the code's) | fixed | area
    node.LOG_GAMMA = 2.0  # of "fixed" (code: 2.0) and of "area", where it is that of a flat patch
    node.VARIANCE = "predicted"  # of the Gaussian filters: predicted | box (size / patch) | unit
    node.MIN_VARIANCE = 0.0  # square pixels; keeps filters of tiny boxes from missing pixels
    node.MASK_WEIGHT = 1.0
    node.BOX_WEIGHT = 1.0  # the paper's lambda_b
    node.SCORE_WEIGHT = 1.0  # the paper's lambda_s
    node.CLASS_WEIGHT = 0.1
    # Of boxes, for matching and loss: gaussian (eq. 25) | coordinates | wasserstein (beyond
    # the paper: leads to small objects from anywhere).
    node.BOX_IOU = "gaussian"
    node.PADDING_RATIO = 0.2  # target boxes grow by this share of their size, on each side ...
    node.MIN_PADDING = 20.0  # ... and by at least this many pixels
    node.CLASS_SOURCE = "head"  # head | preprocessor | folder, where there are several classes
    node.BACKGROUND_LIMIT = 1.0  # instances with more background in that segmentation are dropped
    _add_ris_networks(node)
    _add_ris_sampling(node)
    _add_ris_preprocessor(node)
    _add_ris_semantic_folder(node)


def _add_ris_networks(ris: CN) -> None:
    """Sizes are those of tables 7 to 9."""
    node = ris.BOX = CN()
    node.ENABLED = True  # False: the window is the whole image (table 4, "no box net")
    node.SEES_IMAGE = False  # the image beside the pre-processor's maps (the code's input)
    node.WIDTHS = (16, 16, 32, 32, 64, 64, 64, 64)  # of the 3x3 convolutions
    node.POOLS = (2, 2, 1, 2, 1, 2, 1, 2)  # max-pooling after each
    node.HIDDEN_WIDTH = 256  # of the glimpse LSTM and the glimpse MLP
    node.GLIMPSES = 5
    node.CARRY_STATE = False  # keep the LSTM's state from object to object
    node.COORDINATES = False  # y, x and radius channels at the image and at the last features
    node.CONTENT = False  # glimpses look where features match a query (beyond the paper)
    node = ris.PATCH = CN()
    node.SIZE = (48, 48)
    node.WIDTHS = (16, 32, 32, 64, 64, 96)  # of the 3x3 convolutions
    node.POOLS = (1, 2, 1, 2, 1, 2)  # max-pooling after each
    node.DECODER_WIDTHS = (64, 64, 32, 32, 16, 16)  # of the transposed ones; a last one makes 1
    node.SKIPS = (1, 1, 1, 1, 1, 1)  # encoder levels that come back, the patch itself first
    node.POSITIVE = True  # norm and ReLU after the last layer too (the code's); False: linear


def _add_ris_sampling(ris: CN) -> None:
    """Ground truth fed back in training (Ren & Zemel 2017, eq. 36 and 37)."""
    node = ris.SAMPLING = CN()
    node.MODE = "schedule"  # schedule | always | never
    node.BASE = 1.0  # probability before it begins to fall
    node.DECAY = 2885.0  # S2: iterations in which it falls by a factor e; code: 1010 or 2164
    node.STEP_GAIN = 3.0  # K: later steps keep the ground truth longer
    node.MASKS = True  # for the canvas
    node.MASK_START = 10000.0  # S: iteration from which the probability falls
    node.BOXES = True  # for the window that is segmented
    node.BOX_START = 10000.0
    node.OVERLAP = "mask"  # the object fed back overlaps most with the predicted mask | box (code)
    node.REUSE = True  # one object may be fed back at several steps
    node.BOX_PADDING = (0.1, 0.3)  # range of a fed box's padding, shares of its size on each side
    node.BOX_SHIFT = 0.05  # most that its centre is moved, as a share of its size
    node.MASK_NOISE = 0.3  # each pixel of a fed mask is lowered by at most this


def _add_ris_preprocessor(ris: CN) -> None:
    """The network that the others see the image through; weight 0 drops a term of its loss."""
    node = ris.PREPROCESSOR = CN()
    node.ENABLED = True  # False: the other networks see the image itself (table 4, "no pre proc.")
    node.WIDTHS = foreground_angle.PAPER_WIDTHS  # of each block's convolutions, finest first
    node.SKIPS = foreground_angle.PAPER_SKIPS  # whether a block's features come back on the way up
    node.SEMANTIC = False  # NUM_CLASSES classes and background, instead of one foreground channel
    node.ANGLE = True  # 8 channels of the angle towards the object's centroid
    node.FOREGROUND_WEIGHT = 1.0
    node.ANGLE_WEIGHT = 1.0


def _add_ris_semantic_folder(ris: CN) -> None:
    """Where CLASS_SOURCE "folder" finds an image's semantic segmentation."""
    node = ris.SEMANTIC_FOLDER = CN()
    node.PATH = ""  # of the folder with PNGs of label ids
    node.LABEL_IDS = ()  # value of class 0, class 1, ... in the files
    node.IMAGE_SUFFIX = ""  # what an image's name ends in beyond the common part: "_leftImg8bit"
    node.SUFFIX = ""  # what a segmentation's name ends in: "_labelIds"
