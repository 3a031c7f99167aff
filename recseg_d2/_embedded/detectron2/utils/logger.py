"""Logging to the terminal and to files. May use: the standard library, termcolor, tabulate."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import sys
import time
from collections import Counter
from typing import IO, Any

from tabulate import tabulate
from termcolor import colored

from detectron2.utils.file_io import PathManager

__all__ = ["create_small_table", "log_every_n_seconds", "log_first_n", "setup_logger"]

DATE_FORMAT = "%m/%d %H:%M:%S"
_REMOTE_BUFFER = 1024 * 1024  # bytes; every write to a remote file is a request
_counts: Counter = Counter()
_times: dict[tuple, float] = {}


class _TerminalFormatter(logging.Formatter):
    """Abbreviates the root logger's name, and marks warnings and errors in red."""

    def __init__(self, root_name: str, abbreviation: str) -> None:
        prefix = colored("[%(asctime)s %(name)s]: ", "green")
        super().__init__(prefix + "%(message)s", datefmt=DATE_FORMAT)
        self.root = root_name + "."
        self.short = abbreviation + "." if abbreviation else ""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.name = record.name.replace(self.root, self.short)
        text = super().formatMessage(record)
        if record.levelno < logging.WARNING:
            return text
        level = "WARNING" if record.levelno == logging.WARNING else "ERROR"
        return colored(level, "red", attrs=["bold"]) + " " + text


@functools.lru_cache  # a second call with the same arguments adds no second handler
def setup_logger(
    output: str | None = None,
    distributed_rank: int = 0,
    *,
    color: bool = True,
    name: str = "detectron2",
    abbrev_name: str | None = None,
    enable_propagation: bool = False,
    configure_stdout: bool = True,
) -> logging.Logger:
    """Send a logger's messages (DEBUG and up) to stdout (rank 0 only) and to a file (all ranks).

    Args:
        output: a file (".txt", ".log") or a folder, then its ``log.txt``; ranks above 0 append
            ".rank<n>"; None writes no file.
        distributed_rank: rank of this process.
        color: colours on the terminal.
        name: the root logger to configure.
        abbrev_name: what stands for ``name`` in messages; "" drops it; None is "d2" for Detectron2.
        enable_propagation: whether parents of the logger get the messages as well.
        configure_stdout: whether to write to stdout at all.
    """
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.propagate = enable_propagation
    plain = logging.Formatter("[%(asctime)s] %(name)s %(levelname)s: %(message)s", DATE_FORMAT)
    if abbrev_name is None:
        abbrev_name = "d2" if name == "detectron2" else name
    if configure_stdout and distributed_rank == 0:
        formatter = _TerminalFormatter(name, abbrev_name) if color else plain
        _add_handler(logger, sys.stdout, formatter)
    if output is not None:
        path = output if output.endswith((".txt", ".log")) else os.path.join(output, "log.txt")
        path += f".rank{distributed_rank}" if distributed_rank > 0 else ""
        PathManager.mkdirs(os.path.dirname(path) or ".")
        _add_handler(logger, _open_log(path), plain)
    return logger


def _add_handler(logger: logging.Logger, stream: IO[str], formatter: logging.Formatter) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger.addHandler(handler)


@functools.cache  # loggers that share a file share its handle
def _open_log(path: str) -> IO[str]:
    stream = PathManager.open(path, "a", buffering=_REMOTE_BUFFER if "://" in path else -1)
    atexit.register(stream.close)
    return stream


def _find_caller() -> tuple[str, tuple]:
    """Module name and identity of the line that called into this file."""
    frame: Any = sys._getframe(1)
    while frame.f_code.co_filename == __file__:
        frame = frame.f_back
    module = frame.f_globals["__name__"]
    key = (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
    return ("detectron2" if module == "__main__" else module), key


def log_first_n(
    lvl: int, msg: str, n: int = 1, *, name: str | None = None, key: str | tuple = "caller"
) -> None:
    """Log the first ``n`` times; ``key`` ("caller", "message" or both) says what is "the same"."""
    keys = (key,) if isinstance(key, str) else key
    module, caller = _find_caller()
    identity = (caller if "caller" in keys else ()) + ((msg,) if "message" in keys else ())
    _counts[identity] += 1
    if _counts[identity] <= n:
        logging.getLogger(name or module).log(lvl, msg)


def log_every_n_seconds(lvl: int, msg: str, n: float = 1, *, name: str | None = None) -> None:
    """Log at most once in ``n`` seconds from the same line."""
    module, caller = _find_caller()
    now = time.monotonic()
    if caller not in _times or now - _times[caller] >= n:
        _times[caller] = now
        logging.getLogger(name or module).log(lvl, msg)


def create_small_table(small_dict: dict[str, Any]) -> str:
    """A table with the keys as headers and the values as its one row."""
    return tabulate(
        [list(small_dict.values())],
        headers=list(small_dict),
        tablefmt="pipe",
        floatfmt=".3f",
        stralign="center",
        numalign="center",
    )
