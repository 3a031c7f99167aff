"""Sees which files the package opens for writing under their own names.

Whoever is killed, or finds the disk full, then leaves half a file where a reader expects a whole
one; ``files.write_whole`` writes under another name first.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType

import recseg_d2

# Grow line by line, or hold nothing.
APPENDED = ("log.txt", "metrics.json", "events.out.tfevents", ".lock", "predicted")
PART = ".part"  # ending of the hidden names that are replaced in the end
OF_DETECTRON2 = (".lock", ".tmp")  # endings of the same of its own

_PACKAGE = str(Path(recseg_d2.__file__).parent)
_SCRIPTS = tuple(str(Path(__file__).parents[1] / name) for name in ("tests", "benchmarks"))
_APART = os.path.join(_PACKAGE, "_embedded")  # stands in for another package
_IMPORTING = "<frozen importlib"
_COMPILER = os.path.join("torch", "_inductor")  # keeps its code in a cache of its own

found: list[str] = []  # what was seen, in words, until somebody clears it


def watch() -> None:
    """From now on, in this process."""
    sys.addaudithook(_see)


def _see(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], (str, bytes, os.PathLike)):
        return
    path, _, flags = arguments
    if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR) or path == os.devnull:
        return
    if os.path.isdir(path):
        return
    parts = Path(os.fsdecode(path)).parts
    if parts[-1].startswith(APPENDED) or parts[-1].endswith(OF_DETECTRON2):
        return
    if any(part.startswith(".") and part.endswith(PART) for part in parts):
        return
    place = _of_the_package(sys._getframe(1))
    if place:
        found.append(f"{place} writes {parts[-1]} in place; use recseg_d2.files.write_whole")


def _of_the_package(frame: FrameType | None) -> str:
    """Where the package's own code, called by whomever, has this file opened; "" where not."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith((_IMPORTING, *_SCRIPTS)) or _COMPILER in file:
            return ""
        if file.startswith(_PACKAGE) and not file.startswith(_APART):
            return f"{os.path.relpath(file, _PACKAGE)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
