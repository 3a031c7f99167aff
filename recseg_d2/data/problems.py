"""What is wrong with the files of a data set.

Loading a data set stops at its first bad file; checking it goes on and names them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from recseg_d2.errors import UserError

MOST_THREADS = 8  # decoding releases the interpreter lock; more threads only fight for memory

Item = TypeVar("Item")
Record = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """One thing to mend.

    Attributes:
        file: the image or label file.
        message: what was found and what was expected.
    """

    file: str
    message: str


@runtime_checkable
class Surveyable(Protocol):
    """A source of standard dicts that can go on after a bad file."""

    def survey(self) -> tuple[list[Record], list[Problem]]:
        """The dicts of the good files, and what is wrong with the others."""
        ...


def survey(source: Callable[[], list[Record]]) -> tuple[list[Record], list[Problem]]:
    """What ``Surveyable`` sources say of themselves; others have dicts, or are refused, as a whole.

    Raises:
        UserError: the data is refused as a whole.
    """
    if isinstance(source, Surveyable):
        return source.survey()
    return source(), []


def read_all(read: Callable[[Item], Record], items: Iterable[Item]) -> list[Record]:
    """``read`` of each item in order, by several threads.

    Raises:
        UserError: the first that ``read`` raises.
    """
    with _pool() as pool:
        return list(pool.map(read, items))


def survey_all(
    read: Callable[[Item], Record], items: Iterable[Item], name: Callable[[Item], str]
) -> tuple[list[Record], list[Problem]]:
    """As ``read_all``, but items that are refused become problems.

    Args:
        read: raises ``UserError`` for an item that is no good.
        items: what to read.
        name: the file to name in an item's problem.
    """

    def attempt(item: Item) -> Record | Problem:
        try:
            return read(item)
        except UserError as error:
            return Problem(name(item), str(error))

    with _pool() as pool:
        results = list(pool.map(attempt, items))
    problems = [r for r in results if isinstance(r, Problem)]
    return [r for r in results if not isinstance(r, Problem)], problems


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
