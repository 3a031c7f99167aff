"""Runs commands and Python code of a page one after another, each in a process of its own.

A program, not a test: each is forked from here, where everything is imported once, instead of
importing it again. The first that fails ends it, with its output.

Usage: run_blocks.py FILE, a list in JSON of ["recseg", [words behind recseg]] and ["python", code],
in the folder that they are to work in.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from in_fork import in_fork

import recseg_d2  # noqa: F401  (before any detectron2 import)
from recseg_d2.cli.__main__ import TOOLS
from recseg_d2.cli.__main__ import main as recseg


def run(kind: str, content: Any) -> int:
    """Run a block in this process; its exit code."""
    if kind == "python":
        exec(content, {"__name__": "__main__"})
        return 0
    sys.argv = ["recseg", *content]
    return recseg()


if __name__ == "__main__":
    for module, *_ in TOOLS.values():
        importlib.import_module(f"recseg_d2.cli.{module}")
    for number, (kind, content) in enumerate(json.loads(Path(sys.argv[1]).read_text())):
        print(f"{number}: {content}")
        if in_fork(lambda kind=kind, content=content: run(kind, content)):
            sys.exit(f"{kind} failed: {content}")
