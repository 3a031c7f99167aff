"""Training in phases: SOLVER.PHASES as ordinary configs that run one after another.

Both recurrent papers train in stages; a stage here is a name and any config overrides, so whatever
a config can say, a phase can change.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.utils import comm

from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

FINAL = "model_final.pth"

RunPhase = Callable[[CfgNode, bool], dict[str, Any]]


def phase_configs(cfg: CfgNode) -> list[CfgNode]:
    """The config of each phase, in order; all are checked before anything runs.

    A phase starts from the final weights of the one before it. The last one's folder is OUTPUT_DIR
    itself, so that tools find the finished model there, those before it have
    OUTPUT_DIR/<number>_<name>. Without SOLVER.PHASES the config itself is the only one.

    Raises:
        UserError: a phase without a proper name, a name used twice, or overrides that the config
            does not know.
    """
    phases = list(cfg.SOLVER.PHASES)
    if not phases:
        return [cfg]
    names = [_name(phase) for phase in phases]
    if len(set(names)) < len(names):
        raise UserError(f"SOLVER.PHASES: names have to differ, found {names}.")
    configs: list[CfgNode] = []
    for i, (name, phase) in enumerate(zip(names, phases, strict=True)):
        own = _merged(cfg, name, {k: v for k, v in phase.items() if k != "NAME"})
        if i + 1 < len(phases):
            own.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR) / f"{i + 1}_{name}")
        if configs:
            own.MODEL.WEIGHTS = str(Path(configs[-1].OUTPUT_DIR) / FINAL)
        configs.append(own)
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
    own.SOLVER.PHASES = []
    try:
        own.merge_from_other_cfg(CfgNode(overrides))
    except (KeyError, ValueError, AssertionError) as error:
        raise UserError(f"SOLVER.PHASES, phase {name!r}: {error}") from error
    return own


def run_phases(cfg: CfgNode, run: RunPhase, resume: bool = False, only: str = "") -> dict[str, Any]:
    """Run every phase in order.

    Args:
        cfg: with or without SOLVER.PHASES.
        run: trains one phase's config, given whether to resume; returns its results.
        resume: skip phases that are finished and go on within the one that is not.
        only: name of the single phase to run, from the result of the one before it.

    Returns:
        Results of the last phase that ran; empty where none had to.

    Raises:
        UserError: no phase of that name, or the weights it starts from are not there.
    """
    configs = phase_configs(cfg)
    if only:
        configs = [_select(cfg, configs, only)]
    results: dict[str, Any] = {}
    for phase in configs:
        if resume and len(configs) > 1 and (Path(phase.OUTPUT_DIR) / FINAL).exists():
            logger.info("Phase %s is finished already.", Path(phase.OUTPUT_DIR).name)
            continue
        results = run(phase, resume)
        comm.synchronize()
    return results


def _select(cfg: CfgNode, configs: list[CfgNode], name: str) -> CfgNode:
    names = [p["NAME"] for p in cfg.SOLVER.PHASES]
    if name not in names:
        raise UserError(f"No phase {name!r}: SOLVER.PHASES has {names or 'none'}.")
    chosen = configs[names.index(name)]
    if name != names[0] and not Path(chosen.MODEL.WEIGHTS).exists():
        raise UserError(
            f"Phase {name!r} starts from {chosen.MODEL.WEIGHTS}, which does not exist: run the "
            "phase before it first."
        )
    return chosen
