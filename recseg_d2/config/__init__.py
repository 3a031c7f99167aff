"""Every config key that the package adds.

One file a node. ``get_recseg_cfg()`` is the one way to a complete config, so that no key is ever
"non-existent".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from detectron2.config import CfgNode as CN
from detectron2.config import get_cfg

from recseg_d2.config.data import add_data
from recseg_d2.config.device import available_device
from recseg_d2.config.encoders import add_encoders
from recseg_d2.config.instance_fcn import add_instance_fcn
from recseg_d2.config.proposal_classifier import add_proposal_classifier
from recseg_d2.config.recurrent import add_recurrent
from recseg_d2.config.ris import add_ris
from recseg_d2.config.rsis import add_rsis
from recseg_d2.config.solver import add_solver
from recseg_d2.errors import UserError

PACKAGE = Path(__file__).parent.parent
CONFIG_FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")  # installed; in a checkout


def get_recseg_cfg() -> CN:
    """Detectron2's default config with this package's keys and defaults."""
    cfg = get_cfg()
    add_recseg_config(cfg)
    return cfg


def add_recseg_config(cfg: CN) -> None:
    """Add the package's keys to a Detectron2 config, in place."""
    _change_detectron2_defaults(cfg)
    add_recurrent(cfg)
    add_rsis(cfg)
    add_ris(cfg)
    add_instance_fcn(cfg)
    add_proposal_classifier(cfg)
    add_encoders(cfg)
    add_solver(cfg)
    add_data(cfg)


def load_config(config_file: str | Path, opts: Sequence[str] = ()) -> CN:
    """Defaults, then a file (or a shipped config's name), then KEY VALUE pairs.

    Raises:
        UserError: no such file, or a key or value that the config refuses.
    """
    cfg = get_recseg_cfg()
    try:
        if config_file:
            cfg.merge_from_file(str(get_config_file(str(config_file))))
        cfg.merge_from_list(list(opts))
    except (OSError, KeyError, ValueError, AssertionError, yaml.YAMLError) as error:  # yacs'
        where = " with ".join(filter(None, [str(config_file), " ".join(map(str, opts))]))
        raise UserError(f"{where}: {error}") from error
    return cfg


def get_config_file(name: str) -> Path:
    """Path of a shipped config such as "rsis_cvppp.yaml"; a path that exists is returned as it is.

    Raises:
        FileNotFoundError: neither the path nor a shipped config of that name exists.
    """
    for candidate in (Path(name), *(folder / name for folder in CONFIG_FOLDERS)):
        if candidate.is_file():
            return candidate
    shipped = sorted(p.name for folder in CONFIG_FOLDERS for p in folder.glob("*.yaml"))
    raise FileNotFoundError(f"No config {name!r}; shipped are {', '.join(shipped) or 'none'}.")


def _change_detectron2_defaults(cfg: CN) -> None:
    cfg.SEED = 0  # a run is repeatable unless asked otherwise; -1 draws a seed
    cfg.MODEL.DEVICE = available_device()  # what this machine has: cuda, mps or cpu
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.MASK_ON = True
    cfg.INPUT.MASK_FORMAT = "bitmask"
    cfg.INPUT.MIN_SIZE_TEST = 0  # the model itself resizes to its working resolution
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = False
    cfg.DATALOADER.NUM_WORKERS = 0
