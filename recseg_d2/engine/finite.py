"""A model that computes infinities or NaN is an error, and not a model that finds nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn

from recseg_d2.errors import UserError


def check_finite_weights(model: nn.Module, weights: str) -> None:
    """Refuse weights that are not finite.

    Args:
        model: with its weights loaded.
        weights: where they come from, for the message.

    Raises:
        UserError: a parameter or a buffer is not finite.
    """
    bad = [n for n, v in model.state_dict().items() if v.is_floating_point() and not _finite(v)]
    if bad:
        raise UserError(
            f"{weights}: {len(bad)} of the model's tensors are not finite, such as {bad[0]}: the "
            "training has diverged. Take an earlier checkpoint."
        )


class FiniteOutputs:
    """Looks at what the parts of a model compute, whenever it is called.

    Args:
        model: the two uppermost layers of its modules are looked at.
    """

    def __init__(self, model: nn.Module) -> None:
        self._bad: dict[str, torch.Tensor] = {}
        for name, part in model.named_modules():
            if name and name.count(".") < 2:
                part.register_forward_hook(self._hook(name))

    def _hook(self, name: str) -> Callable[..., None]:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if torch.compiler.is_compiling():  # within a step; what steps are of is looked at
                return
            for tensor in _tensors(output):
                seen = self._bad.get(name)
                bad = ~torch.isfinite(tensor.sum(dtype=torch.float32))
                self._bad[name] = bad if seen is None else seen | bad

        return look

    def check(self, images: str) -> None:
        """Raise for what was computed since the last call.

        Args:
            images: of what, for the message.

        Raises:
            UserError: a part of the model computed something that is not finite.
        """
        bad = [name for name, value in self._bad.items() if bool(value)]
        self._bad = {}
        if bad:
            raise UserError(
                f"{images}: the model's {bad[0]} computed numbers that are not finite; the weights "
                "are those of a training that diverged, or MODEL.PRECISION is too low."
            )


def _finite(values: torch.Tensor) -> bool:
    return bool(torch.isfinite(values).all())


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of floating-point numbers in nested containers and dataclasses."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))
