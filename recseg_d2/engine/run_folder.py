"""A folder belongs to one run: who may write there, and with which config a run goes on."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from detectron2.config import CfgNode
from filelock import FileLock, Timeout

from recseg_d2.config import load_config, read_options
from recseg_d2.config.options import EvaluationOptions, SolverOptions
from recseg_d2.engine.checkpoints import FINISHED
from recseg_d2.engine.thresholds import score_thresh, set_score_thresh
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder, write_whole

logger = logging.getLogger(__name__)

CONFIG, METRICS = "config.yaml", "metrics.json"
_LOCK = ".lock"
_LOCK_PATIENCE = 15.0  # seconds; workers of a killed process hold on to its lock for a few
_RESULTS = ("*.pth", "last_checkpoint", METRICS, FINISHED)  # what only training leaves
_BESIDE = (CONFIG, "log.txt*", "events.out.tfevents*", "inference", "pictures", "nonfinite_*.pth")
_PHASE_FOLDER = re.compile(r"\d+_\w+")

# What a run may go on with changed without a word: neither its parameters nor what it has done so
# far depend on these. The second list is of parts of sections that belong to models.
_FREE = (
    *(
        "OUTPUT_DIR",
        "VIS_PERIOD",
        "LOGGER",
        "TEST",
        "DATASETS.TEST",
        "DATASETS.PROPOSAL_FILES_TEST",
    ),
    *("DATALOADER.NUM_WORKERS", "MODEL.DEVICE", "MODEL.WEIGHTS", "MODEL.PRECISION"),
    *("SOLVER.MAX_ITER", "SOLVER.CHECKPOINT_PERIOD", "SOLVER.LOG_PERIOD"),
    *("SOLVER.RESUME_CHANGES", "SOLVER.PLATEAU.PATIENCE", "CUDNN_BENCHMARK"),
    *("INPUT.MIN_SIZE_TEST", "INPUT.MAX_SIZE_TEST", "MODEL.SEQUENTIAL.COMPILE_STEPS"),
    "MODEL.SEQUENTIAL.CUDA_GRAPHS",
)
_FREE_PART = re.compile(r"MODEL\.\w+\.TEST(\.|$)")
_NEVER = re.compile(r"MODEL\.|SOLVER\.(OPTIMIZER|TRAINABLE)$|VERSION$|SEED$")  # what states fit


@contextmanager
def owned(folder: str | Path, patience: float = _LOCK_PATIENCE) -> Iterator[None]:
    """Nobody else writes into the folder inside this context; a dead process owns nothing.

    Args:
        folder: the folder of the run; it is made where it is missing.
        patience: seconds to wait for another process that owns it.

    Raises:
        UserError: another process owns the folder.
    """
    lock = FileLock(make_folder(folder) / _LOCK)
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise UserError(
            f"OUTPUT_DIR {folder}: another process is training into it; wait for its end, or name "
            "another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


def holds_results(folder: str | Path) -> bool:
    """Whether training has left anything in the folder itself that could be lost."""
    return any(path.stat().st_size for name in _RESULTS for path in Path(folder).glob(name))


def check_unused(phases: Mapping[str, CfgNode]) -> None:
    """Refuse folders that hold the results of a run.

    Args:
        phases: configs of the phases that are to run.

    Raises:
        UserError: the first of the folders that does.
    """
    for phase in phases.values():
        if holds_results(phase.OUTPUT_DIR):
            raise UserError(
                f"OUTPUT_DIR {phase.OUTPUT_DIR} holds the results of a run: go on with it by "
                "--resume, replace it by --overwrite, or name another folder."
            )


def clear(phases: Mapping[str, CfgNode]) -> None:
    """Remove what a run leaves from the folders of phases; files of other names stay."""
    for phase in phases.values():
        for path in [
            p for name in (*_RESULTS, *_BESIDE) for p in Path(phase.OUTPUT_DIR).glob(name)
        ]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_config(cfg: CfgNode) -> None:
    """Store the config in its OUTPUT_DIR."""
    with write_whole(Path(cfg.OUTPUT_DIR) / CONFIG) as file:
        file.write(cfg.dump())


def with_chosen_thresh(cfg: CfgNode) -> CfgNode:
    """The config of a finished run with the least score that it chose, where it chose one."""
    path = Path(cfg.OUTPUT_DIR) / CONFIG
    if not read_options(cfg, EvaluationOptions).threshold_images or not path.is_file():
        return cfg
    result = cfg.clone()
    result.defrost()
    set_score_thresh(result, score_thresh(load_config(path)))
    result.freeze()
    return result


def check_resumable(phases: Mapping[str, CfgNode], root: str | Path) -> None:
    """Refuse to go on with another config than that of the run, before anything is written.

    A phase that has not begun may be of any config.

    Args:
        phases: configs of all phases of the run.
        root: the run's OUTPUT_DIR.

    Raises:
        UserError: keys differ that a run cannot change, or may change only if
            SOLVER.RESUME_CHANGES names them; a phase's config cannot be read; or the folder has
            phases that the config has not.
    """
    known = {Path(phase.OUTPUT_DIR).name for phase in phases.values()}
    there = (p for p in Path(root).glob("*") if _PHASE_FOLDER.fullmatch(p.name))
    strange = sorted(p.name for p in there if p.name not in known and holds_results(p))
    if strange:
        raise UserError(
            f"--resume: {root} has the phases {', '.join(strange)}, which SOLVER.PHASES has not; "
            "go on with the config that the run began with, or name another OUTPUT_DIR."
        )
    for phase in phases.values():
        if holds_results(phase.OUTPUT_DIR):
            _check_phase(phase)


def _check_phase(cfg: CfgNode) -> None:
    path = Path(cfg.OUTPUT_DIR) / CONFIG
    try:
        stored = dict(_leaves(yaml.safe_load(path.read_text())))
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise UserError(
            f"--resume: {path} cannot be read, which says how the results beside it came about "
            f"({error}); train to another OUTPUT_DIR, from MODEL.WEIGHTS."
        ) from error
    wanted = dict(_leaves(yaml.safe_load(cfg.dump())))
    different = [k for k in wanted if stored.get(k, wanted[k]) != wanted[k] and not _is_free(k)]
    said = set(read_options(cfg, SolverOptions).resume_changes)
    never = [k for k in different if _NEVER.match(k)]
    unsaid = [k for k in different if k not in said]
    if never or unsaid:
        listed = "; ".join(f"{k} is {wanted[k]}, but {stored[k]}" for k in never or unsaid)
        change = "" if never else f", name them in SOLVER.RESUME_CHANGES {unsaid}"
        raise UserError(
            f"--resume: {listed} in {path}. Go on with the config that the run began with{change}, "
            "or train anew, by --overwrite or to another OUTPUT_DIR."
        )
    for key in different:
        logger.info("%s is %s from now on; it was %s.", key, wanted[key], stored[key])


def _is_free(key: str) -> bool:
    free = any(key == name or key.startswith(f"{name}.") for name in _FREE)
    return free or _FREE_PART.match(key) is not None


def _leaves(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a config."""
    for name, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
