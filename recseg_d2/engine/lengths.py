"""Short runs of long configs: one key scales everything that is counted in iterations."""

from __future__ import annotations

from typing import Any

from detectron2.config import CfgNode

from recseg_d2.config import read_options
from recseg_d2.config.options import SolverOptions

# Everything that is counted in iterations, but for how often a line is logged.
LENGTHS = (
    *("SOLVER.MAX_ITER", "SOLVER.STEPS", "SOLVER.WARMUP_ITERS", "SOLVER.CHECKPOINT_PERIOD"),
    *("SOLVER.CURRICULUM.EVERY", "SOLVER.HARD_IMAGES_PERIOD", "TEST.EVAL_PERIOD"),
    *("MODEL.RIS.SAMPLING.DECAY", "MODEL.RIS.SAMPLING.MASK_START", "MODEL.RIS.SAMPLING.BOX_START"),
)


def scale_lengths(cfg: CfgNode) -> CfgNode:
    """The config with SOLVER.LENGTH_SCALE applied, and that key at 1; the same where it is 1.

    Lengths that are whole numbers stay so, and those that are not 0 do not become 0.
    """
    scale = read_options(cfg, SolverOptions).length_scale
    if scale == 1:
        return cfg
    own = cfg.clone()
    own.defrost()
    for key in LENGTHS:
        *parents, name = key.split(".")
        node = own
        for parent in parents:
            node = node[parent]
        node[name] = _scaled(node[name], scale)
    own.SOLVER.LENGTH_SCALE = 1.0
    return own


def _scaled(value: Any, scale: float) -> Any:
    if isinstance(value, tuple | list):
        return type(value)(_scaled(v, scale) for v in value)
    if isinstance(value, float):
        return value * scale
    return max(1, round(value * scale)) if value else 0
