"""Notes which config keys are read, by their node or as an option."""

from __future__ import annotations

import sys
from dataclasses import Field
from types import FrameType

import pytest
from detectron2.config import CfgNode

from recseg_d2.config import NODES
from recseg_d2.config.nodes import walk_options

# Who copies, compares or checks options makes no use of them.
NO_READERS = {"__post_init__", "__eq__", "__hash__", "__repr__"}
NO_READERS_IN = {"dataclasses", "recseg_d2.config.nodes", "recseg_d2.errors", "copy"}


def declared_keys() -> set[str]:
    """All keys that the package adds."""
    places = (place for key, kind in NODES.items() for place in walk_options(kind, key))
    return {f"{key}.{field.name.upper()}" for _, key, own in places for field in own}


def note_reads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Dotted names of the config keys that are read from now on."""
    found: set[str] = set()
    _note_nodes(monkeypatch, found)
    for root, outer in NODES.items():
        for kind, key, fields in walk_options(outer, root):
            _note_options(monkeypatch, found, kind, key, fields)
    return found


def _note_nodes(monkeypatch: pytest.MonkeyPatch, found: set[str]) -> None:
    original = CfgNode.__getattr__

    def noting(node, name):
        value = original(node, name)
        path = [*node.__dict__.get("_test_path", []), name]
        if isinstance(value, CfgNode):
            value.__dict__["_test_path"] = path
        else:
            found.add(".".join(path))
        return value

    monkeypatch.setattr(CfgNode, "__getattr__", noting)


def _note_options(
    monkeypatch: pytest.MonkeyPatch, found: set[str], kind: type, key: str, fields: list[Field]
) -> None:
    keys = {field.name: f"{key}.{field.name.upper()}" for field in fields}

    def noting(options, name):
        if name in keys and _makes_use(sys._getframe(1)):
            found.add(keys[name])
        return object.__getattribute__(options, name)

    monkeypatch.setattr(kind, "__getattribute__", noting)


def _makes_use(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_name.startswith("<"):  # a comprehension's
        frame = frame.f_back
    assert frame is not None
    inside = frame.f_globals.get("__name__") in NO_READERS_IN
    return not inside and frame.f_code.co_name not in NO_READERS
