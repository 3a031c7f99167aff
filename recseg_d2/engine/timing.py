"""How long an iteration takes here: what turns minutes into a number of iterations."""

from __future__ import annotations

import time

import numpy as np
from detectron2.config import CfgNode

from recseg_d2.engine.trainer import Trainer

_WARM_UP, _TIMED = 4, 12  # iterations
_LEAST = 50  # iterations of any run
_ROUND = 10


def seconds_per_iteration(cfg: CfgNode) -> float:
    """How long an iteration of a config takes here, by timing some of them.

    Reading, forward and backward passes and the optimiser are timed; evaluations are not. Nothing
    is written.

    Args:
        cfg: config of a run with one phase.
    """
    model = Trainer.build_model(cfg)
    optimizer, batches = Trainer.build_optimizer(cfg, model), iter(Trainer.build_train_loader(cfg))
    model.train()
    seconds = []
    for _ in range(_WARM_UP + _TIMED):
        started = time.perf_counter()
        losses = model(next(batches))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[_WARM_UP:]))


def iterations_within(seconds: float, minutes: float) -> int:
    """How many iterations of so many seconds each fit into some minutes; 50 at least."""
    return max(int(minutes * 60 / seconds) // _ROUND * _ROUND, _LEAST)
