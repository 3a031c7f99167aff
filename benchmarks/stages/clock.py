"""What stages of a computation take, without a line in it: its functions are wrapped meanwhile."""

from __future__ import annotations

import functools
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

Places = Mapping[str, Sequence[str]]  # stage -> names of functions


class StageClock:
    """Shares out among stages what a reading grows by.

    A stage within another counts for itself alone, so that all stages together are the whole.

    Args:
        read: gives the reading: seconds, operations, ...

    Attributes:
        spent: how much the reading grew in each stage that was entered.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self.read = read
        self.spent: Counter[str] = Counter()
        self._open: list[str] = []
        self._last = 0.0

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Inside, what the reading grows by counts for a stage."""
        self._settle()
        self._open.append(stage)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    def _settle(self) -> None:
        now = self.read()
        if self._open:
            self.spent[self._open[-1]] += now - self._last  # type: ignore[assignment]
        self._last = now

    @contextmanager
    def at(self, places: Places, **roots: Any) -> Iterator[None]:
        """Inside, calls of some functions count for their stages.

        Args:
            places: for each stage the dotted names of its functions: "model.network.forward" where
                ``model`` is one of the roots, otherwise from a module on; as the caller looks them
                up, so "user.function" where the module ``user`` imports a function by its name.
            roots: objects by the first part of a name. What is None below them, as parts that a
                model is built without, is passed over.

        Raises:
            AttributeError: there is no such function.
        """
        with ExitStack() as stack:
            for stage, names in places.items():
                for name in names:
                    path, _, attribute = name.rpartition(".")
                    owner = _found(path, roots)
                    if owner is not None:
                        counted = self._counted(stage, getattr(owner, attribute))
                        stack.enter_context(mock.patch.object(owner, attribute, counted))
            yield

    def _counted(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.of(stage):
                return function(*args, **kwargs)

        return counted


def _found(path: str, roots: Mapping[str, Any]) -> Any:
    """What a dotted name is of; None where a part of a root is None."""
    root, *parts = path.split(".")
    if root not in roots:
        return pkgutil.resolve_name(path)
    found = roots[root]
    for part in parts:
        found = None if found is None else getattr(found, part)
    return found
