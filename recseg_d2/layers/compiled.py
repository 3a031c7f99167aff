"""Steps of a recurrent network that inference runs compiled, by ``torch.compile``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

BACKEND = "inductor"  # of torch.compile: fuses what lies between convolutions
_CPU_COMPILERS = {"darwin": "clang++", "win32": "cl"}


class CompiledStep:
    """A step that is compiled within ``inference``, and runs as it stands elsewhere.

    It is compiled when it is first called there, and once more when the size of the batch or of the
    images changes: then for every size.

    Args:
        step: a function of tensors, of what holds tensors, and of numbers.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self.step = step
        self._compiled: Callable[..., Any] | None = None
        self._infers = False

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Inside, the step is compiled, where no gradient is asked for."""
        self._infers = True
        try:
            yield
        finally:
            self._infers = False

    def __call__(self, *args: Any) -> Any:
        """``step(*args)``."""
        if not self._infers or torch.is_grad_enabled():
            return self.step(*args)
        if self._compiled is None:
            self._compiled = torch.compile(self.step, backend=BACKEND)
        return self._compiled(*args)

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a network compiles its own step: what is compiled holds the weights."""
        return {"step": self.step, "_compiled": None, "_infers": False}


def missing_compiler(device: torch.device) -> str | None:
    """What ``torch.compile`` needs for a kind of device and this machine lacks; None if nothing."""
    if device.type == "cuda":
        return None if importlib.util.find_spec("triton") else "the Python package triton"
    name = os.environ.get("CXX", _CPU_COMPILERS.get(sys.platform, "g++"))
    return None if shutil.which(name) else f"a C++ compiler ({name})"
