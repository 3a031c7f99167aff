"""Parameters that a phase of training leaves as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from recseg_d2.errors import UserError


def freeze_except(model: torch.nn.Module, patterns: Sequence[str]) -> None:
    """Freeze every parameter whose name none of the regular expressions matches at its start.

    Raises:
        UserError: a pattern matches no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(re.match(pattern, name) for name in names):
            tops = sorted({name.split(".")[0] for name in names})
            raise UserError(
                f"SOLVER.TRAINABLE: {pattern!r} matches no parameter; names begin with {tops}."
            )
    for name, parameter in model.named_parameters() if patterns else ():
        if not any(re.match(pattern, name) for pattern in patterns):
            parameter.requires_grad_(False)
