"""The keys added to SOLVER."""

from __future__ import annotations

from detectron2.config import CfgNode as CN


def add_solver(cfg: CN) -> None:
    """Optimiser, averaging, phases, curriculum and early stopping."""
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
