"""What can be known to be wrong with a run before it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.modeling import BACKBONE_REGISTRY, META_ARCH_REGISTRY
from detectron2.utils import comm

from recseg_d2.cli.own_data import FOLDER_TRAIN, FOLDER_VAL
from recseg_d2.config import read_options
from recseg_d2.config.options import SolverOptions
from recseg_d2.data.loader import check_val_data
from recseg_d2.errors import UserError
from recseg_d2.evaluation.build import evaluator_type

_CLASSES_SHOWN = 5  # of a data set, in a message
_Rule = tuple[str, Callable[[Any], bool]]
_POSITIVE: _Rule = ("1 or more", lambda value: value >= 1)

_RULES: dict[str, _Rule] = {  # of Detectron2's own keys
    "SOLVER.MAX_ITER": _POSITIVE,
    "SOLVER.IMS_PER_BATCH": _POSITIVE,
    "SOLVER.CHECKPOINT_PERIOD": _POSITIVE,
    "SOLVER.BASE_LR": ("above 0", lambda value: value > 0),
}


def check_config(cfg: CfgNode, trains: bool = True) -> None:
    """Refuse values that only fail later, or not at all.

    Args:
        cfg: of a run, or one of its phases.
        trains: whether it is to be trained; any number of processes can evaluate.

    Raises:
        UserError: a number out of its range, an unknown architecture, backbone or device, or a
            number of classes that is not the data sets'.
    """
    _check_architecture(cfg)
    for key, (expected, fits) in _RULES.items():
        value = _lookup(cfg, key)
        if not fits(value):
            raise UserError(f"{key} is {value}; expected {expected}.")
    parts = comm.get_world_size() * read_options(cfg, SolverOptions).accum_steps
    if trains and cfg.SOLVER.IMS_PER_BATCH % parts:
        raise UserError(
            f"SOLVER.IMS_PER_BATCH is {cfg.SOLVER.IMS_PER_BATCH}; expected a multiple of the "
            f"{comm.get_world_size()} processes times SOLVER.ACCUM_STEPS "
            f"{cfg.SOLVER.ACCUM_STEPS}."
        )
    try:
        torch.device(cfg.MODEL.DEVICE)
    except RuntimeError as error:
        found = cfg.MODEL.DEVICE
        raise UserError(f"MODEL.DEVICE is {found!r}; expected auto, cpu, cuda or mps.") from error
    if cfg.SOLVER.AMP.ENABLED:
        raise UserError(
            "SOLVER.AMP.ENABLED is True: set MODEL.PRECISION float16 or bfloat16 instead, which "
            "work on any device."
        )
    _check_classes(cfg)


def check_data(cfg: CfgNode) -> None:
    """Refuse data to evaluate on that would only be found unusable at the first evaluation.

    Raises:
        UserError: the data cannot be used, or there is no evaluator for it.
    """
    check_val_data(cfg)
    for name in cfg.DATASETS.TEST:
        evaluator_type(cfg, name)


def _check_architecture(cfg: CfgNode) -> None:
    found, known = cfg.MODEL.META_ARCHITECTURE, dict(META_ARCH_REGISTRY)
    # Detectron2's own architectures take other data and other options
    ours = [name for name, kind in known.items() if not kind.__module__.startswith("detectron2.")]
    if found not in ours:
        raise UserError(
            f"MODEL.META_ARCHITECTURE is {found!r}, expected one of {', '.join(sorted(ours))}; "
            "name a config by --config-file, such as rsis_small.yaml."
        )
    if cfg.MODEL.BACKBONE.NAME not in BACKBONE_REGISTRY:
        raise UserError(
            f"MODEL.BACKBONE.NAME is {cfg.MODEL.BACKBONE.NAME!r}, expected one of "
            f"{', '.join(sorted(dict(BACKBONE_REGISTRY)))}."
        )


def _check_classes(cfg: CfgNode) -> None:
    wanted = cfg.MODEL.NUM_CLASSES
    named: dict[str, list[str]] = {}
    for name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST):
        classes = getattr(MetadataCatalog.get(name), "thing_classes", None)
        if classes is None:
            continue
        named[name] = classes
        if len(classes) != wanted:
            shown = ", ".join(classes[:_CLASSES_SHOWN])
            more = " ..." if len(classes) > _CLASSES_SHOWN else ""
            own = name in (FOLDER_TRAIN, FOLDER_VAL) and wanted == 1
            hint = ", or give --one-class to take them as one" if own else ""
            raise UserError(
                f"MODEL.NUM_CLASSES is {wanted}, but data set {name!r} has "
                f"{len(classes)} ({shown}{more}): set it to {len(classes)}{hint}."
            )
    if wanted > 1:  # the name of a single class does not matter
        _check_same_classes(named)


def _check_same_classes(named: dict[str, list[str]]) -> None:
    """Refuse data sets that number the classes otherwise than the first."""
    for name, classes in named.items():
        first = next(iter(named))
        for number, (one, other) in enumerate(zip(named[first], classes, strict=True)):
            if one != other:
                raise UserError(
                    f"Data sets {first!r} and {name!r}: found {one!r} and {other!r} as class "
                    f"{number}, expected the same classes in the same order."
                )


def _lookup(cfg: CfgNode, key: str) -> Any:
    value: Any = cfg
    for part in key.split("."):
        value = value[part]
    return value
