"""Weights that go by other names."""

from __future__ import annotations

import logging

from torch import Tensor

logger = logging.getLogger(__name__)


def align_and_update_state_dicts(
    model_state_dict: dict[str, Tensor], ckpt_state_dict: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Rename a checkpoint's weights to the model's names, which may have longer prefixes.

    A model's weight takes the one with the longest name that is its own name or ends it after a
    dot: "backbone.res2.0.conv1.weight" takes "res2.0.conv1.weight" rather than "conv1.weight".

    Returns:
        The weights by the model's names; those that match nothing (or in shape) keep their own.

    Raises:
        ValueError: a weight of the checkpoint fits several of the model.
    """
    taken: dict[str, str] = {}  # checkpoint's name: model's name
    for name, parameter in model_state_dict.items():
        parts = name.split(".")
        suffixes = (".".join(parts[start:]) for start in range(len(parts)))
        source = next((suffix for suffix in suffixes if suffix in ckpt_state_dict), None)
        if source is None:
            continue
        found = tuple(ckpt_state_dict[source].shape)
        if found != tuple(parameter.shape):
            logger.warning("%s: shape %s, %s of the model.", source, found, tuple(parameter.shape))
        elif source in taken:
            raise ValueError(
                f"{source!r} of the checkpoint fits both {taken[source]!r} and {name!r} of the "
                "model. Give the checkpoint's weights longer names."
            )
        else:
            taken[source] = name
    if not taken:
        logger.warning("No weights in checkpoint matched with model.")
    return {taken.get(name, name): weight for name, weight in ckpt_state_dict.items()}
