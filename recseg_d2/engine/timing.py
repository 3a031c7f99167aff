"""How long an iteration takes here: what turns minutes into a number of iterations."""

from __future__ import annotations

import time

import numpy as np
from detectron2.config import CfgNode

from recseg_d2.engine.trainer import Trainer

_WARM_UP, _TIMED = 4, 12  # iterations
_LEAST = 50  # iterations of any run
_ROUND = 10


def iterations_within(cfg: CfgNode, minutes: float) -> tuple[int, float]:
    """How many iterations of a config fit into some minutes, by timing the first of them.

    Reading, forward and backward passes and the optimiser are timed; evaluations are not.

    Args:
        cfg: config of a run with one phase; nothing is written.
        minutes: wall-clock time in minutes, above 0.

    Returns:
        The number of iterations, and the seconds that one takes.
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
    each = float(np.median(seconds[_WARM_UP:]))
    count = int(minutes * 60 / each) // _ROUND * _ROUND
    return max(count, _LEAST), each
