"""Checkpoints from anywhere: read without running what is in them, in all the usual forms.

A file of weights is one of
    {"model": weights, ...}        Detectron2's, and this package's
    {"state_dict": weights, ...}   or "model_state_dict": other training programs'
    weights                        a bare state dict, other entries beside the weights or not
where weights are tensors or arrays by name; "module." before all names is taken off. ``.pkl`` files
are pickles of these, all others are what ``torch.save`` writes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.checkpoint import DetectionCheckpointer

from recseg_d2.errors import UserError
from recseg_d2.safe_pickle import load_pickle

logger = logging.getLogger(__name__)

_HOLDERS = ("model", "state_dict", "model_state_dict")
_NAMES_IN_MESSAGE = 3
_NUMBERS = "biufc"  # numpy's kinds of numbers


class SafeCheckpointer(DetectionCheckpointer):
    """Detectron2's checkpointer for files that somebody else may have written."""

    def load(self, path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load a checkpoint; see fvcore.

        Raises:
            UserError: the file is no checkpoint, holds more than weights and numbers, or none of
                its weights fits the model.
        """
        self._path = path
        with readable(path):
            return super().load(path, *args, **kwargs)

    def get_checkpoint_file(self) -> str:
        """The file beside ``last_checkpoint`` that it names.

        Raises:
            UserError: it names something else than a file in the same folder.
        """
        found, folder = super().get_checkpoint_file(), Path(self.save_dir)
        if found and (Path(found).parent != folder or Path(found).name == ".."):
            raise UserError(
                f"{folder / 'last_checkpoint'}: it names {found}, expected the name of a "
                "checkpoint in the same folder; write it there, or load it by MODEL.WEIGHTS."
            )
        return found

    def _load_file(self, filename: str) -> dict[str, Any]:
        loaded = read_checkpoint(filename)
        if getattr(self, "_match_names", False):  # "?matching_heuristics=True"
            loaded["matching_heuristics"] = True
        return loaded

    def _load_model(self, checkpoint: Any) -> Any:
        given = list(checkpoint["model"])
        incompatible = super()._load_model(checkpoint)
        names = {name for name, _ in self.model.named_parameters()}
        if names and names <= set(incompatible.missing_keys):
            raise UserError(
                f"{self._path}: none of its {len(given)} weights ({_some(given)}) fits the model, "
                f"whose parameters are {_some(sorted(names))}; use weights of this architecture."
            )
        return incompatible


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a file in one of the forms of the module's docstring.

    Returns:
        "model": weights by name, tensors or arrays; and what else is in Detectron2's form, such as
        "trainer" and "iteration".

    Raises:
        UserError: it is damaged, of another form, or would run code.
    """
    try:
        loaded = _load(str(path))
    except UserError:
        raise
    except Exception as error:  # whatever a damaged file makes of the readers
        raise UserError(_unreadable(path, error)) from error
    if not isinstance(loaded, Mapping):
        found = type(loaded).__name__
        raise UserError(f"{path}: found a {found}, expected a dict of weights by name.")
    for holder in _HOLDERS:
        if isinstance(loaded.get(holder), Mapping):
            rest = {key: value for key, value in loaded.items() if key != holder}
            return {**rest, "model": _weights(loaded[holder], path)}
    return {"model": _weights(loaded, path)}


@contextmanager
def readable(weights: str | Path) -> Iterator[None]:
    """Inside, errors of what is read from a checkpoint become a ``UserError`` that names it."""
    try:
        yield
    except UserError:
        raise
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(_unreadable(weights, error)) from error


def _load(path: str) -> Any:
    if path.endswith(".pkl"):
        return _with_caffe2_author(load_pickle(path))
    with torch.serialization.safe_globals(_numpy_makers()):
        return torch.load(path, map_location="cpu", weights_only=True)


def _with_caffe2_author(loaded: Any) -> Any:
    """Weights with Caffe2's names as Detectron2 marks them, which has the table of both names."""
    if isinstance(loaded, dict) and isinstance(loaded.get("blobs"), dict):
        loaded = loaded["blobs"]
    names = list(loaded) if isinstance(loaded, dict) else []
    if not names or "model" in loaded or not all(re.search(r"_[wbs]$", str(n)) for n in names):
        return loaded
    return {"model": loaded, "__author__": "Caffe2", "matching_heuristics": True}


def _numpy_makers() -> list[Any]:
    """What numpy's numbers and arrays name in a file, today's and those before numpy 2.0."""
    makers = [value.__reduce__()[0] for value in (np.float64(0), np.zeros(1))]
    kinds = {type(np.dtype(code)) for code in np.typecodes["AllInteger"] + "?efd"}
    return [*makers, *map(_older, makers), np.dtype, np.ndarray, *kinds]


def _older(make: Any) -> Any:
    """The same function by the name that it had before numpy 2.0."""

    def older(*args: Any) -> Any:
        return make(*args)

    older.__module__ = "numpy.core.multiarray"
    older.__name__ = older.__qualname__ = make.__name__
    return older


def _weights(loaded: Mapping[Any, Any], path: str | Path) -> dict[str, Any]:
    """The arrays among the entries; numbers and the like beside them are no weights."""
    weights = {key: value for key, value in loaded.items() if _is_array(value)}
    other = [key for key in loaded if key not in weights]
    if not weights or not all(isinstance(key, str) for key in weights):
        raise UserError(
            f"{path}: found no weights, but {_some(list(loaded)) or 'nothing'}; expected tensors "
            f"by name, in the file or in its entry {', '.join(_HOLDERS)}."
        )
    if other:
        logger.warning("%s: %s: no weights, left out.", path, _some(other))
    return weights


def _is_array(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (
        isinstance(value, np.ndarray) and value.dtype.kind in _NUMBERS
    )


def _some(names: list[Any]) -> str:
    more = ", ..." * (len(names) > _NAMES_IN_MESSAGE)
    return ", ".join(str(name)[:80] for name in names[:_NAMES_IN_MESSAGE]) + more


def _unreadable(path: str | Path, error: Exception) -> str:
    """A sentence on a file that could not be read."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    if named:
        return (
            f"{path}: found {named[1]} in it, expected tensors and numbers alone; a file that "
            "names other things can run code and is not read. Save model.state_dict() instead."
        )
    first_line = (str(error) or type(error).__name__).splitlines()[0]
    reason = first_line.split(". ")[0]  # PyTorch adds paragraphs of advice
    return f"{path}: cannot be read as a checkpoint ({reason}); copy it again, or name another."
