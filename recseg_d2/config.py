"""Every config key that the package adds. May use: detectron2.config, engine.device, models.

``get_recseg_cfg()`` is the one way to a complete config, so that no key is ever "non-existent".
"""

from __future__ import annotations

from pathlib import Path

from detectron2.config import CfgNode as CN
from detectron2.config import get_cfg

from recseg_d2.engine.device import available_device
from recseg_d2.models import foreground_angle


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


def get_config_file(name: str) -> Path:
    """Path of a shipped config such as "rsis_cvppp.yaml"; a path that exists is returned as it is.

    Raises:
        FileNotFoundError: neither the path nor a shipped config of that name exists.
    """
    here = Path(__file__).parent
    for candidate in (Path(name), here / "configs" / name, here.parent / "configs" / name):
        if candidate.is_file():
            return candidate
    shipped = sorted(p.name for p in (here.parent / "configs").glob("*.yaml"))
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
    node.SCORE_THRESH_TEST = 0.5  # the sequence stops at the first step scored below this
    node.MASK_THRESH_TEST = 0.5  # probability above which a pixel belongs to the mask
    node.EXCLUSIVE_TEST = False  # a pixel goes to its most probable instance only
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
    _add_ris_preprocessor(node)


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
