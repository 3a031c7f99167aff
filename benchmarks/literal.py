"""The paper-literal forms of models, which ``tests/reference`` has.

A function of it lets a built model compute its sequence as the paper's equations stand, every step
from its inputs, or InstanceFCN's inference in loops over windows and pixels. Weights, losses, data
and optimiser are the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from reference import instance_fcn_whole, ris_literal, rsis_literal

MODES = ("inference", "training")


@dataclass(frozen=True)
class Literal:
    """The paper-literal form of an architecture.

    Attributes:
        make: makes a built model literal.
        modes: what it is literal in.
        most_images: most images in a step: fewer where a single one takes half a minute.
    """

    make: Callable[[torch.nn.Module], None]
    modes: tuple[str, ...] = MODES
    most_images: int = sys.maxsize


LITERAL = {
    "ConvLSTMSemInstSeg": Literal(rsis_literal.make_literal),
    "RecurrentAttentionSeg": Literal(ris_literal.make_literal),
    "InstanceFCNProposal": Literal(instance_fcn_whole.make_literal, ("inference",), 1),
}
