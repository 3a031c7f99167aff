"""Checkpoints that fit, or a sentence."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from recseg_d2.backbones.pretrained import encoder_prefix, own_names
from recseg_d2.engine.weight_files import SafeCheckpointer
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

_NAMES_IN_MESSAGE = 3
_COUNTER = "num_batches_tracked"  # of batch norms; not a parameter that a file has to have


def load_weights(model: torch.nn.Module, weights: str) -> None:
    """Load a checkpoint completely, or refuse it.

    Args:
        model: a model as the config builds it; it is changed in place.
        weights: a file, or any address that Detectron2's ``PathManager`` knows.

    Raises:
        UserError: no file is named or there is none, it is no checkpoint, or it leaves parameters
            of the model without a value.
    """
    check_weights_file(weights)
    _CompleteCheckpointer(model).load(weights)


def load_pretrained(model: torch.nn.Module, weights: str, min_fraction: float) -> None:
    """Start from what a checkpoint has of a model's parameters, and say how much that is.

    Args:
        model: to be trained; changed in place.
        weights: a file, or any address that Detectron2's ``PathManager`` knows.
        min_fraction: of the encoder's parameters that have to find a value in it; of a model
            without an encoder, of the checkpoint's that have to find a place.

    Raises:
        UserError: fewer do.
    """
    checkpointer = _PartialCheckpointer(model)
    checkpointer.load(weights)
    model = checkpointer.model
    missing = {*checkpointer.result.missing_keys, *checkpointer.result.unexpected_keys}
    missing |= {name for name, *_ in checkpointer.result.incorrect_shapes}
    prefix = encoder_prefix(model)
    if prefix is None:
        wanted, whose = list(checkpointer.names), "parameters in it have a place in the model"
    else:
        wanted = [n for n in model.state_dict() if n.startswith(prefix)]
        whose = f"parameters of the encoder ({prefix}*) have a value in it"
    wanted = [name for name in wanted if not name.endswith(_COUNTER)]
    unfit = [name for name in wanted if name in missing]
    fitting = len(wanted) - len(unfit)
    found = f"{fitting} of {len(wanted)} {whose}"
    if fitting / max(1, len(wanted)) < min_fraction:
        raise UserError(
            f"MODEL.WEIGHTS: of {weights}, {found}, not {_listed(unfit)}; expected "
            f"{min_fraction:.0%} or more. It begins with {_listed(list(checkpointer.names))}. Name "
            "a file of this architecture, or set MODEL.WEIGHTS_MIN_FRACTION to what may fit."
        )
    logger.info("%s: %s.", weights, found)


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


class _NamingCheckpointer(SafeCheckpointer):
    """Knows other libraries' names of an encoder's weights."""

    def _load_model(self, checkpoint: Any) -> Any:
        checkpoint["model"] = own_names(self.model, checkpoint["model"])
        return super()._load_model(checkpoint)


class _PartialCheckpointer(SafeCheckpointer):
    """The same, and leaves it to the caller how much of the file has to fit.

    Attributes:
        names: of the weights in the file, renamed.
        result: missing and unexpected names, and those with another shape.
    """

    def _load_model(self, checkpoint: Any) -> Any:
        checkpoint["model"] = own_names(self.model, checkpoint["model"])
        self.names = tuple(checkpoint["model"])
        self.result = super(SafeCheckpointer, self)._load_model(checkpoint)
        return self.result


class _CompleteCheckpointer(_NamingCheckpointer):
    """Refuses what Detectron2 only warns of: a model that would keep random parameters."""

    def _load_model(self, checkpoint: Any) -> Any:
        incompatible = super()._load_model(checkpoint)
        missing = list(incompatible.missing_keys)
        if missing:
            raise UserError(
                f"{self._path}: has no fitting value for {len(missing)} parameters of the model "
                f"({_listed(missing)}). Use the config that it was trained with: config.yaml in "
                "the run's output folder."
            )
        return incompatible


def _listed(names: list[str]) -> str:
    """The first names."""
    more = ", ..." if len(names) > _NAMES_IN_MESSAGE else ""
    return ", ".join(names[:_NAMES_IN_MESSAGE]) + more
