"""Means over a batch that comes in parts: of several processes, or accumulated one after another.

A loss that is a mean over what it counts (matched objects, windows, pixels) is a sum divided by a
count. Each part computes its own sum; what it is divided by has to be that of the whole batch, or
an object of a part with few counts for more. Gradients of the parts are averaged, so each part
divides by the *mean* of the parts' counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist

_counted: list[torch.Tensor] | None = None  # counts of the part that is being counted
_given: Iterator[torch.Tensor] | None = None  # counts to use in its place


def whole_batch_count(count: torch.Tensor) -> torch.Tensor:
    """What a part divides a sum by.

    Where gradients are computed by several processes, all of them have to call this in the same
    order. Without gradients a part stands for itself.

    Args:
        count: () of this part, not necessarily whole.
    """
    if _counted is not None:
        _counted.append(count.detach())
        return count
    if _given is not None:
        return next(_given)
    return mean_over_processes(count) if torch.is_grad_enabled() else count


def mean_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over all processes, without gradient; itself in a single one."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


@contextmanager
def counting() -> Iterator[list[torch.Tensor]]:
    """Inside, ``whole_batch_count`` notes the counts of a part, in their order."""
    global _counted
    _counted = []
    try:
        yield _counted
    finally:
        _counted = None


@contextmanager
def given_counts(counts: Sequence[torch.Tensor]) -> Iterator[None]:
    """Inside, ``whole_batch_count`` gives these, one after another; with none, what it gives else.

    Args:
        counts: means over all parts, in the order in which a part asks for them.
    """
    global _given
    _given = iter(counts) if len(counts) else None
    try:
        yield
    finally:
        _given = None
