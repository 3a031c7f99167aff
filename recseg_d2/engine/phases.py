"""Training in phases: SOLVER.PHASES as ordinary configs that run one after another.

Both recurrent papers train in stages; a stage here is a name and any config overrides, so whatever
a config can say, a phase can change.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.utils import comm

from recseg_d2.config import check_options, read_options
from recseg_d2.config.options import SolverOptions
from recseg_d2.engine.checkpoints import FINAL, is_finished
from recseg_d2.engine.lengths import scale_lengths
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

RunPhase = Callable[[CfgNode, bool], dict[str, Any]]


def phase_configs(cfg: CfgNode) -> dict[str, CfgNode]:
    """The config of each phase by its name, in order; all are checked before anything runs.

    A phase starts from the final weights of the one before it. The last one's folder is OUTPUT_DIR
    itself, so that tools find the finished model there, those before it have
    OUTPUT_DIR/<number>_<name>. Without SOLVER.PHASES the config itself is the only one, without a
    name. SOLVER.LENGTH_SCALE is applied to each.

    Raises:
        UserError: a phase without a proper name, a name used twice, or overrides that the config
            does not know.
    """
    phases = read_options(cfg, SolverOptions).phases
    if not phases:
        return {"": scale_lengths(cfg)}
    names = [_name(phase) for phase in phases]
    if len(set(names)) < len(names):
        raise UserError(f"SOLVER.PHASES: names have to differ, found {names}.")
    configs: dict[str, CfgNode] = {}
    weights = cfg.MODEL.WEIGHTS
    for i, (name, phase) in enumerate(zip(names, phases, strict=True)):
        own = _merged(cfg, name, {k: v for k, v in phase.items() if k != "NAME"})
        if i + 1 < len(phases):
            own.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR) / f"{i + 1}_{name}")
        if configs:
            own.MODEL.WEIGHTS = weights
        weights = str(Path(own.OUTPUT_DIR) / FINAL)
        configs[name] = scale_lengths(own)
    return configs


def _name(phase: Any) -> str:
    name = phase.get("NAME") if isinstance(phase, dict) else None
    if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
        raise UserError(
            f"SOLVER.PHASES: a phase is {{NAME: word, <config overrides>}}, found {phase!r}."
        )
    return name


def _merged(cfg: CfgNode, name: str, overrides: dict[str, Any]) -> CfgNode:
    own = cfg.clone()
    own.defrost()
    own.SOLVER.PHASES = ()
    try:
        own.merge_from_other_cfg(CfgNode(overrides))
        check_options(own)
    except (KeyError, ValueError, AssertionError) as error:
        raise UserError(f"SOLVER.PHASES, phase {name!r}: {error}") from error
    return own


def run_phases(
    phases: Mapping[str, CfgNode], run: RunPhase, resume: bool = False
) -> dict[str, Any]:
    """Run phases in order.

    Args:
        phases: config of each phase by its name, from ``phase_configs`` or ``select_phase``.
        run: trains one phase's config, given whether to resume; returns its results.
        resume: skip phases that are finished, but for the last, and go on within the one that is
            not.

    Returns:
        Results of the last phase.
    """
    results: dict[str, Any] = {}
    last = list(phases)[-1]
    for name, phase in phases.items():
        finished = resume and is_finished(phase.OUTPUT_DIR, phase.SOLVER.MAX_ITER)
        if finished and name != last:
            logger.info("Phase %s is finished already.", name)
            continue
        results = run(phase, resume)
        comm.synchronize()
    return results


def select_phase(phases: Mapping[str, CfgNode], name: str) -> dict[str, CfgNode]:
    """A single phase, to run it from the result of the one before it.

    Raises:
        UserError: no phase of that name, or the one before it is not finished.
    """
    names = [known for known in phases if known]
    if name not in names:
        raise UserError(f"No phase {name!r}: SOLVER.PHASES has {names or 'none'}.")
    if name != names[0]:
        before = phases[names[names.index(name) - 1]]
        if not is_finished(before.OUTPUT_DIR, before.SOLVER.MAX_ITER):
            raise UserError(
                f"Phase {name!r} starts from {phases[name].MODEL.WEIGHTS}, which is not finished: "
                "run the phase before it first."
            )
    return {name: phases[name]}
