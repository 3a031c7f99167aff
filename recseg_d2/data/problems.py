"""What is wrong with the files of a data set, and how they are read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from tqdm import tqdm

from recseg_d2.errors import UserError

MOST_THREADS = 8  # decoding releases the interpreter lock; more threads only fight for memory

Item = TypeVar("Item")
Result = TypeVar("Result")
Record = dict[str, Any]  # one of Detectron2's standard dicts


@dataclass(frozen=True)
class Problem:
    """One thing to mend.

    Attributes:
        file: the image or label file.
        message: what was found and what was expected.
        warning: whether the data can be used all the same; otherwise training refuses it.
    """

    file: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        named = self.message.startswith(self.file)
        return self.message if named else f"{self.file}: {self.message}"

    @classmethod
    def of(cls, file: str, error: UserError) -> Problem:
        """The problem of which an error tells, without the file's name at its start."""
        return cls(file, str(error).removeprefix(f"{file}: "))


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], progress: str = ""
) -> list[Result]:
    """The function of each item in order, by several threads.

    Args:
        function: of an item.
        items: in the order of the results.
        progress: what a progress bar says that is being done; without it there is none.
    """
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        results = pool.map(function, items)
        disable = None if progress else True  # None: where there is no terminal
        return list(tqdm(results, progress, len(items), unit="image", disable=disable))
