"""Runs commands and Python code of a page one after another, each in a process of its own.

A program, not a test: each is forked from here, where everything is imported once, instead of
importing it again. The first that fails ends it, with its output.

Usage: run_blocks.py < JSON, a list of ["recseg", [words behind recseg]] and ["python", code], in
the folder that they are to work in.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

import torch
import torch.utils.tensorboard  # what a training imports late: once here, not in every child

import recseg_d2  # noqa: F401  (before any detectron2 import)
from recseg_d2.cli.__main__ import main as recseg


def in_child(kind: str, content: Any) -> int:
    """Run in a process of its own; its exit code."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        if kind == "recseg":
            sys.argv = ["recseg", *content]
            code = recseg()
        else:
            exec(content, {"__name__": "__main__"})
            code = 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for number, (kind, content) in enumerate(json.load(sys.stdin)):
        print(f"{number}: {content}")
        if in_child(kind, content):
            sys.exit(f"{kind} failed: {content}")
