"""Steps of a recurrent network that are computed anew when their gradient is needed.

Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch.utils.checkpoint import checkpoint

T = TypeVar("T")
_again = False


def recomputed(wanted: bool, function: Callable[..., T], *args: Any) -> T:
    """``function(*args)``, of which only the result is kept for the gradient, where wanted.

    The memory of all steps but one is saved for the time of a second forward pass; random numbers
    are drawn as in the first. Without gradients it is the plain call.
    """
    if not wanted or not torch.is_grad_enabled():
        return function(*args)
    result: T = checkpoint(function, *args, use_reentrant=False, context_fn=_contexts)
    return result


def is_recomputing() -> bool:
    """Whether this is the second pass, in which running statistics must not move once more."""
    return _again


def _contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _second_pass()


@contextmanager
def _second_pass() -> Iterator[None]:
    global _again
    _again = True
    try:
        yield
    finally:
        _again = False
