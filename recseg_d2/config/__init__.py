"""Every config key that the package adds, and the one way to a complete config.

A group of keys is declared once, as a dataclass of options beside what it belongs to, and has its
place in ``NODES``. ``docs/configs.md`` lists all keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from detectron2.config import CfgNode, get_cfg

from recseg_d2.config import nodes
from recseg_d2.config.device import available_device, usable_device
from recseg_d2.config.nodes import add_options, build_options
from recseg_d2.config.options import (
    EvaluationOptions,
    InputOptions,
    LoggerOptions,
    ModelOptions,
    SequentialOptions,
    SolverOptions,
)
from recseg_d2.errors import UserError

PACKAGE = Path(__file__).parent.parent
CONFIG_FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")  # installed; in a checkout

# Where each class of options stands; those within them follow by the names of their fields. Models
# and backbones add theirs by ``add_node``, where they are registered.
NODES: dict[str, type] = {
    "MODEL": ModelOptions,
    "MODEL.SEQUENTIAL": SequentialOptions,
    "INPUT": InputOptions,
    "SOLVER": SolverOptions,
    "TEST": EvaluationOptions,
    "LOGGER": LoggerOptions,
}

# Detectron2's keys whose defaults are others here, and why.
CHANGED_DEFAULTS = (
    ("SEED", 0, "a run is repeatable unless asked otherwise; -1 draws a seed"),
    ("MODEL.DEVICE", "auto", "what this machine has: cuda, mps or cpu"),
    ("MODEL.MASK_ON", True, "all models predict masks"),
    ("INPUT.MASK_FORMAT", "bitmask", "masks are drawn, not outlined"),
    ("INPUT.MIN_SIZE_TEST", 0, "images come as they are; a model that works at one size resizes"),
    ("DATALOADER.ASPECT_RATIO_GROUPING", False, "the order of images is that of the seed"),
    ("DATALOADER.NUM_WORKERS", 0, "images are loaded by the process that trains"),
)

# What yacs raises on wrong files, keys and values; the last two where a file is no mapping.
_YACS_ERRORS = (
    *(OSError, KeyError, ValueError, AssertionError, yaml.YAMLError),
    *(TypeError, AttributeError),
)

T = TypeVar("T")


def add_node(key: str, kind: type) -> None:
    """Give a class of options its place in the config.

    Args:
        key: of the node, such as "MODEL.RSIS".
        kind: a frozen dataclass; see ``config.nodes``.

    Raises:
        ValueError: the place is another's.
    """
    if NODES.setdefault(key, kind) is not kind:
        raise ValueError(f"{key} has the options of {NODES[key].__name__} already.")


def get_recseg_cfg() -> CfgNode:
    """Detectron2's default config with this package's keys and defaults."""
    cfg = get_cfg()
    add_recseg_config(cfg)
    return cfg


def add_recseg_config(cfg: CfgNode) -> None:
    """Add the package's keys to a Detectron2 config, in place."""
    for key, value, _ in CHANGED_DEFAULTS:
        *parents, name = key.split(".")
        _node(cfg, parents)[name] = value
    cfg.MODEL.DEVICE = available_device()
    for key, kind in NODES.items():
        *parents, name = key.split(".")
        parent = _node(cfg, parents)
        if name not in parent:
            parent[name] = CfgNode()
        add_options(parent[name], kind())


def has_recseg_keys(cfg: CfgNode) -> bool:
    """Whether a config has had the package's keys added."""
    return "OPTIMIZER" in cfg.SOLVER


def read_options(cfg: CfgNode, kind: type[T]) -> T:
    """The options of one of the classes of ``NODES`` as a config has them.

    Raises:
        UserError: a value is of the wrong type, not one of its choices, or cannot work.
    """
    (key,) = (key for key, of_key in NODES.items() if of_key is kind)
    return build_options(kind, _node(cfg, key.split(".")), key)


def check_options(cfg: CfgNode) -> None:
    """Refuse a value of any of the package's keys that cannot work; raises as ``read_options``."""
    for kind in NODES.values():
        read_options(cfg, kind)


def naming_keys() -> AbstractContextManager[None]:
    """Inside, an option that a model refuses becomes a ``UserError`` that names its key."""
    return nodes.naming_keys(NODES)


def load_config(config_file: str | Path, opts: Sequence[Any] = ()) -> CfgNode:
    """Defaults, then a file (or a shipped config's name), then KEY VALUE pairs.

    MODEL.DEVICE becomes a device that this machine has.

    Raises:
        UserError: no such file, or a key or value that the config refuses.
    """

    def merge(cfg: CfgNode) -> None:
        if config_file:
            # YAML tags can run code, and a config may come from anywhere
            cfg.merge_from_file(str(get_config_file(str(config_file))), allow_unsafe=False)

    return _complete(merge, str(config_file), opts)


def parse_config(text: str, source: str, opts: Sequence[Any] = ()) -> CfgNode:
    """As ``load_config``, of a config's text.

    Args:
        text: YAML.
        source: where it is from, for messages.
        opts: KEY VALUE pairs.

    Raises:
        UserError: the text is no config, or a key or value is refused.
    """

    def merge(cfg: CfgNode) -> None:
        cfg.merge_from_other_cfg(CfgNode(yaml.safe_load(text)))

    return _complete(merge, source, opts)


def _complete(merge: Callable[[CfgNode], None], source: str, opts: Sequence[Any]) -> CfgNode:
    """Defaults, then what ``merge`` adds, then KEY VALUE pairs."""
    cfg = get_recseg_cfg()
    where = " with ".join(filter(None, [source, " ".join(map(str, opts))]))
    try:
        merge(cfg)
        cfg.merge_from_list(list(opts))
        check_options(cfg)
    except _YACS_ERRORS as error:
        raise UserError(f"{where}: {error}") from error
    cfg.MODEL.DEVICE = usable_device(cfg.MODEL.DEVICE)
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


def _node(cfg: CfgNode, path: Sequence[str]) -> CfgNode:
    for name in path:
        cfg = cfg[name]
    return cfg
