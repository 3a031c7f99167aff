"""What every process of a run does first: logs, seeds, and a record of what it runs on."""

from __future__ import annotations

import argparse
import logging
import os

import torch
from detectron2.config import CfgNode
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng
from detectron2.utils.logger import setup_logger

from recseg_d2.engine.environment import environment

logger = logging.getLogger(__name__)


def set_up(cfg: CfgNode, args: argparse.Namespace) -> None:
    """Log to OUTPUT_DIR what runs where and with which config, and seed everything.

    Args:
        cfg: the complete config of the run.
        args: the command line; ``deterministic`` asks for the same numbers at any price.
    """
    for name in ("fvcore", "detectron2", "recseg_d2"):
        setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name=name)
    logger.info("Process %d of %d", comm.get_rank(), comm.get_world_size())
    logger.info("Environment: %s", ", ".join(f"{k} {v}" for k, v in environment().items()))
    logger.info("Command line: %s", args)
    logger.info("Config:\n%s", cfg.dump())
    seed_all_rng(None if cfg.SEED < 0 else cfg.SEED + comm.get_rank())
    torch.backends.cudnn.benchmark = cfg.CUDNN_BENCHMARK
    if args.deterministic:
        be_deterministic()


def be_deterministic() -> None:
    """Have PyTorch use deterministic algorithms; it warns of operations that have none.

    On CPUs a run with a seed is repeatable without this, with the same number of threads.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as cuBLAS wants it
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
