"""Every config key that the package adds. May use: detectron2.config, models.

``get_recseg_cfg()`` is the one way to a complete config, so that no key is ever "non-existent".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from detectron2.config import CfgNode as CN
from detectron2.config import get_cfg

from recseg_d2.engine.device import available_device
from recseg_d2.errors import UserError
from recseg_d2.models import foreground_angle

PACKAGE = Path(__file__).parent
CONFIG_FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")  # installed; in a checkout


def get_recseg_cfg() -> CN:
    """Detectron2's default config with this package's keys and defaults."""
    cfg = get_cfg()
    add_recseg_config(cfg)
    return cfg


def add_recseg_config(cfg: CN) -> None:
    """Add the package's keys to a Detectron2 config, in place."""
    _change_detectron2_defaults(cfg)
    _add_recurrent(cfg)
    _add_rsis(cfg)
    _add_ris(cfg)
    _add_encoders(cfg)
    _add_solver(cfg)
    _add_data(cfg)


def load_config(config_file: str | Path, opts: Sequence[str] = ()) -> CN:
    """Defaults, then a file (or a shipped config's name), then KEY VALUE pairs.

    Raises:
        UserError: no such file, or a key or value that the config refuses.
    """
    cfg = get_recseg_cfg()
    try:
        if config_file:
            cfg.merge_from_file(str(get_config_file(str(config_file))))
        cfg.merge_from_list(list(opts))
    except (OSError, KeyError, ValueError, AssertionError, yaml.YAMLError) as error:  # yacs'
        where = " with ".join(filter(None, [str(config_file), " ".join(map(str, opts))]))
        raise UserError(f"{where}: {error}") from error
    return cfg


def get_config_file(name: str) -> Path:
    """Path of a shipped config such as "rsis_cvppp.yaml"; a path that exists is returned as it is.

    Raises:
        FileNotFoundError: neither the path nor a shipped config of that name exists.
    """
    for candidate in (Path(name), *(folder / name for folder in CONFIG_FOLDERS)):
        if candidate.is_file():
            return candidate
    shipped = sorted(p.name for folder in CONFIG_FOLDERS for p in folder.glob("*.yaml"))
    raise FileNotFoundError(f"No config {name!r}; shipped are {', '.join(shipped) or 'none'}.")


def _change_detectron2_defaults(cfg: CN) -> None:
    cfg.SEED = 0  # a run is repeatable unless asked otherwise; -1 draws a seed
    cfg.MODEL.DEVICE = available_device()  # what this machine has: cuda, mps or cpu
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.MASK_ON = True
    cfg.INPUT.MASK_FORMAT = "bitmask"
    cfg.INPUT.MIN_SIZE_TEST = 0  # the model itself resizes to its working resolution
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = False
    cfg.DATALOADER.NUM_WORKERS = 0


def _add_recurrent(cfg: CN) -> None:
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


def _add_rsis(cfg: CN) -> None:
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


def _add_ris(cfg: CN) -> None:
    """RecurrentAttentionSeg (Ren & Zemel 2017)."""
    node = cfg.MODEL.RIS = CN()
    node.STAGE = "full"  # preprocessor | box | full: what exists and is trained; see SOLVER.PHASES
    node.FULL_SEQUENCES = True  # train all STEPS, as the paper; False: one step more than objects
    node.CANVAS = True  # the external memory; False removes its channel from both networks
    node.CANVAS_GRADIENT = False  # let the gradient through the canvas to earlier steps
    node.NORM = "per_step"  # per_step | shared (batch norms, the code has the first) | group
    node.INIT_STD = 0.01  # of the truncated normal of weights and biases; 0 is PyTorch's own
    node.BETA = 5.0  # logit that masks and boxes have far outside of the window, negated
    node.GAMMA = "shared"  # gain of masks and boxes: shared | separate (the code's) | fixed | area
    node.LOG_GAMMA = 2.0  # of "fixed" (code: 2.0) and of "area", where it is that of a flat patch
    node.VARIANCE = "predicted"  # of the Gaussian filters: predicted | box (size / patch) | unit
    node.MIN_VARIANCE = 0.0  # square pixels; keeps filters of tiny boxes from missing pixels
    node.MASK_WEIGHT = 1.0
    node.BOX_WEIGHT = 1.0  # the paper's lambda_b
    node.SCORE_WEIGHT = 1.0  # the paper's lambda_s
    node.CLASS_WEIGHT = 0.1
    node.BOX_IOU = "gaussian"  # gaussian (eq. 25) | coordinates; for matching and loss
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


def _add_encoders(cfg: CN) -> None:
    node = cfg.MODEL.SMALL_ENCODER = CN()
    node.WIDTHS = (16, 24, 32, 64, 96)  # channels at strides 2, 4, 8, ...
    node.COORDINATES = False  # y, x and radius channels beside the image


def _add_solver(cfg: CN) -> None:
    cfg.SOLVER.OPTIMIZER = "ADAM"  # SGD | ADAM | ADAMW
    cfg.SOLVER.BACKBONE_MULTIPLIER = 1.0  # learning rate of the backbone, relative to the rest
    cfg.SOLVER.LOG_PERIOD = 20  # iterations between two lines of metrics.json and of the log
    cfg.SOLVER.EMA_DECAY = 0.0  # moving average of the weights, used for evaluation; 0 is off
    cfg.SOLVER.FLAT_FRACTION = 0.0  # WarmupFlatCosineLR: share of the run before the cosine starts
    cfg.SOLVER.TRAINABLE = []  # regular expressions of parameter names; empty trains everything
    # Phases run one after another, each from the weights of the one before. A phase is a name and
    # config overrides: {NAME: masks, SOLVER: {MAX_ITER: 1000}, MODEL: {RSIS: {CLASS_WEIGHT: 0}}}
    cfg.SOLVER.PHASES = []
    node = cfg.SOLVER.CURRICULUM = CN()
    node.START = 0  # objects to predict at first, raised by one up to STEPS; 0 is off
    node.EVERY = 0  # iterations after which one more is asked for; 0 waits for a plateau
    node.PATIENCE = 3  # validations without improvement that make a plateau
    node = cfg.SOLVER.PLATEAU = CN()
    node.PATIENCE = 0  # validations without improvement that end the run (or phase); 0 is off
    node.METRIC = "val_loss/total_loss"  # any name in metrics.json; its best is model_best.pth
    node.HIGHER_IS_BETTER = False


def _add_data(cfg: CN) -> None:
    cfg.INPUT.AUGS = ["hflip"]  # any of hflip, vflip, transpose, affine, color; in this order
    node = cfg.INPUT.AFFINE = CN()
    node.ROTATION = 10.0  # degrees, either way
    node.TRANSLATION = 0.1  # share of the image's side, either way
    node.SHEAR = 0.1  # degrees, either way
    node.ZOOM = (1.0, 1.43)  # magnification, drawn for each axis
    cfg.TEST.VAL_LOSS = True  # the training loss on DATASETS.TEST at every evaluation
    cfg.TEST.NUM_PICTURES = 4  # images of DATASETS.TEST drawn at every evaluation
