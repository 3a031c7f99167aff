"""Names of data sets, and what is known about each."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

__all__ = ["DatasetCatalog", "Metadata", "MetadataCatalog"]


class _Catalog(UserDict):
    """A global dictionary by data set name."""

    def list(self) -> list[str]:
        return list(self.data)

    def remove(self, name: str) -> None:
        self.pop(name)


class _DatasetCatalog(_Catalog):
    """Maps a name to the function that returns the data set as a list of standard dicts."""

    def register(self, name: str, func: Callable[[], list[dict]]) -> None:
        assert callable(func), f"Dataset {name!r}: expected a function, got {type(func).__name__}."
        assert name not in self, f"Dataset {name!r} is already registered!"
        self[name] = func

    def get(self, name: str) -> list[dict]:  # type: ignore[override]
        """Call the registered function; KeyError where there is none."""
        if name not in self:
            known = ", ".join(self.data) or "none"
            raise KeyError(f"Dataset {name!r} is not registered! Available datasets are: {known}")
        return self[name]()


class Metadata(SimpleNamespace):
    """Facts of one data set as attributes; a fact, once set, cannot be changed to another."""

    name: str = "N/A"

    def __getattr__(self, key: str) -> Any:
        known = ", ".join(vars(self))
        raise AttributeError(f"{key!r} is not in the metadata of {self.name!r}: {known}.")

    def __setattr__(self, key: str, value: Any) -> None:
        old = vars(self).get(key, value)
        assert old == value, (
            f"{key!r} in the metadata of {self.name!r} is {old} and cannot be set to {value}."
        )
        super().__setattr__(key, value)

    def set(self, **kwargs: Any) -> Metadata:
        for key, value in kwargs.items():
            setattr(self, key, value)
        return self

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key, default)

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


class _MetadataCatalog(_Catalog):
    """Maps a name to its one ``Metadata``, which is created when it is first asked for."""

    def get(self, name: str) -> Metadata:  # type: ignore[override]
        assert name, "The name of a dataset cannot be empty."
        return self.data.setdefault(name, Metadata(name=name))


DatasetCatalog = _DatasetCatalog()
MetadataCatalog = _MetadataCatalog()
