"""Checkpoints that fit, or a sentence."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from detectron2.checkpoint import DetectionCheckpointer

from recseg_d2.errors import UserError

_NAMES_IN_MESSAGE = 3


def load_weights(model: torch.nn.Module, weights: str) -> None:
    """Load a checkpoint completely, or refuse it.

    Args:
        model: as the config builds it; changed in place.
        weights: a file, or any address that Detectron2's ``PathManager`` knows.

    Raises:
        UserError: no file is named or there is none, it is no checkpoint, or it leaves parameters
            of the model without a value.
    """
    check_weights_file(weights)
    with readable(weights):
        _CompleteCheckpointer(model).load(weights)


def check_weights_file(weights: str) -> None:
    """Refuse weights that are not there; addresses such as "detectron2://..." are not looked up.

    Raises:
        UserError: no file is named, or there is none.
    """
    if not weights:
        raise UserError(
            "MODEL.WEIGHTS is empty; name a checkpoint, such as output/model_final.pth from a "
            "training run (--weights of the tools)."
        )
    if "://" not in weights and not Path(weights).is_file():
        raise UserError(
            f"MODEL.WEIGHTS: there is no file {weights}; name a checkpoint, such as "
            "model_final.pth in the output folder of a training run."
        )


@contextmanager
def readable(weights: str) -> Iterator[None]:
    """Inside, errors of a file that is no checkpoint become a ``UserError`` that names it."""
    try:
        yield
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        reason = first_line.split(". ")[0]  # PyTorch adds paragraphs of advice
        raise UserError(
            f"{weights}: cannot be read as a checkpoint ({reason}); copy it again, or name another."
        ) from error


class _CompleteCheckpointer(DetectionCheckpointer):
    """Refuses what Detectron2 only warns of: a model that would keep random parameters."""

    def load(self, path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self._path = path
        return super().load(path, *args, **kwargs)

    def _load_model(self, checkpoint: Any) -> Any:
        incompatible = super()._load_model(checkpoint)
        missing = list(incompatible.missing_keys)
        if missing:
            names = ", ".join(missing[:_NAMES_IN_MESSAGE])
            more = ", ..." if len(missing) > _NAMES_IN_MESSAGE else ""
            raise UserError(
                f"{self._path}: has no fitting value for {len(missing)} parameters of the model "
                f"({names}{more}). Use the config that it was trained with: config.yaml in the "
                "run's output folder."
            )
        return incompatible
