"""Memory for what was read from files, so that a small data set is decoded once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

_BYTES_PER_MB = 2**20


class Cache(Generic[T]):
    """Keeps values until they take more memory than allowed, then keeps what it has.

    A data set that fits is read once. One that does not fit is passed over in random order, where
    throwing out old values for new ones would not raise the share that is found.

    Args:
        size_of: function that gives the bytes that a value takes.
        megabytes: memory that all values may take; 0 keeps nothing.
    """

    def __init__(self, size_of: Callable[[T], int], megabytes: int) -> None:
        self._size_of, self._free = size_of, megabytes * _BYTES_PER_MB
        self._values: dict[Hashable, T] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key, made where it is not there; callers do not change it."""
        if key in self._values:
            return self._values[key]
        value = make()
        size = self._size_of(value)
        if size <= self._free:
            self._values[key] = value
            self._free -= size
        return value
