"""Detectron2's own tools train with this package's optimisers, clipping and schedules.

Detectron2 has no registry for these: its tools call ``build_optimizer`` and ``build_lr_scheduler``
of ``detectron2.solver``. Both are replaced by functions that do what they did, unless the config
has the keys of this package (``add_recseg_config``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

import detectron2.engine.defaults
import detectron2.solver
import detectron2.solver.build
from detectron2.config import CfgNode

from recseg_d2.config import has_recseg_keys
from recseg_d2.engine import solver

# Whoever imports the functions finds them in the first two; DefaultTrainer has imported them.
_PLACES: tuple[ModuleType, ...] = (
    detectron2.solver,
    detectron2.solver.build,
    detectron2.engine.defaults,
)


def register_solver() -> None:
    """Replace both functions, once."""
    for ours in (solver.build_optimizer, solver.build_lr_scheduler):
        theirs = getattr(detectron2.solver, ours.__name__)
        if not hasattr(theirs, "__wrapped__"):
            for place in _PLACES:
                setattr(place, ours.__name__, _either(theirs, ours))


def _either(theirs: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(theirs)
    def build(cfg: CfgNode, *args: Any) -> Any:
        return (ours if has_recseg_keys(cfg) else theirs)(cfg, *args)

    return build
