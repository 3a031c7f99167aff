"""Logging to the terminal and to files."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import sys
from typing import IO

from termcolor import colored

from detectron2.utils.file_io import PathManager

__all__ = ["setup_logger"]

DATE_FORMAT = "%m/%d %H:%M:%S"
_REMOTE_BUFFER = 1024 * 1024  # bytes; every write to a remote file is a request


@functools.lru_cache  # a second call with the same arguments adds no second handler
def setup_logger(
    output: str | None = None,
    distributed_rank: int = 0,
    *,
    color: bool = True,
    name: str = "detectron2",
    configure_stdout: bool = True,
) -> logging.Logger:
    """Send messages of the logger ``name`` to stdout (rank 0 only) and to a file (all ranks).

    ``output`` is a file (".txt", ".log") or a folder, then its ``log.txt``; ranks above 0 append
    ".rank<n>"; None writes no file.
    """
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    prefix = "[%(asctime)s] %(name)s %(levelname)s: "
    if configure_stdout and distributed_rank == 0:
        _add_handler(logger, sys.stdout, colored(prefix, "green") if color else prefix)
    if output is not None:
        path = output if output.endswith((".txt", ".log")) else os.path.join(output, "log.txt")
        path += f".rank{distributed_rank}" if distributed_rank > 0 else ""
        PathManager.mkdirs(os.path.dirname(path) or ".")
        _add_handler(logger, _open_log(path), prefix)
    return logger


def _add_handler(logger: logging.Logger, stream: IO[str], prefix: str) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(prefix + "%(message)s", DATE_FORMAT))
    logger.addHandler(handler)


@functools.cache  # loggers that share a file share its handle
def _open_log(path: str) -> IO[str]:
    stream = PathManager.open(path, "a", buffering=_REMOTE_BUFFER if "://" in path else -1)
    atexit.register(stream.close)
    return stream
