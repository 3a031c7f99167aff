"""What has been predicted so far, a line an image: a long prediction can be gone on with."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detectron2.utils import comm

logger = logging.getLogger(__name__)

_FILES = "predicted*.jsonl"


class Journal:
    """A file for each process, to which a line is appended once an image's own files are there.

    Args:
        folder: the output folder.
        resume: whether to keep what earlier processes, of any number, have noted.
    """

    def __init__(self, folder: Path, resume: bool) -> None:
        self._folder = folder
        if not resume and comm.is_main_process():
            for path in folder.glob(_FILES):
                path.unlink()
        comm.synchronize()
        self.done = set(self.entries()) if resume else set()
        comm.synchronize()  # nobody appends while others read
        rank = f"_{comm.get_rank()}" if comm.get_rank() else ""
        self._own = folder / f"predicted{rank}.jsonl"

    def add(self, image: str, collected: dict[str, Any]) -> None:
        """Note that an image is done.

        Args:
            image: the stem of its files.
            collected: what the files of all images need of it, ready for JSON.
        """
        with open(self._own, "a", encoding="utf-8") as file:
            if file.tell() and not _ends_a_line(self._own):
                file.write("\n")  # behind a line that was broken off
            file.write(json.dumps({"image": image, "collected": collected}) + "\n")

    def entries(self) -> dict[str, dict[str, Any]]:
        """What was collected of each image, of all processes."""
        return {
            entry["image"]: entry["collected"]
            for path in sorted(self._folder.glob(_FILES))
            for entry in _readable_lines(path)
        }


def _ends_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _readable_lines(path: Path) -> Iterable[dict[str, Any]]:
    """The entries of a file, without a line that was broken off."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                logger.warning("%s: a line was broken off; its image is predicted anew.", path)
                continue
            if isinstance(entry, dict) and {"image", "collected"} <= entry.keys():
                yield entry
