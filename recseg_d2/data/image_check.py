"""Whether the image files of a data set can be read, found out once.

Decoding is the only way to find out that a file is cut short. A file that was good is remembered by
its size and the time of its last change, across runs, so that it is decoded once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recseg_d2.config.options import FrameOptions
from recseg_d2.data.io.image_pages import ImageFile
from recseg_d2.data.io.images import PLAIN, probe_image
from recseg_d2.errors import UserError
from recseg_d2.files import write_whole

FOLDER = "recseg_d2"  # in the user's folder for what can be made again
FILE = "images.json"

Stamp = list[int]


class ImageChecker:
    """Measures image files; called with a path, it gives an ``ImageFile``.

    What is no file of its own, such as a drawn image, is not looked at: None.

    Args:
        decode: decode each file that is not remembered, rather than read its header.
        frames: which page and channels of a file are meant.
        accept: refuses files whose numbers cannot be used; None: all can.
        memory: the file that remembers; None: that of the user's cache folder.
    """

    def __init__(
        self,
        decode: bool = True,
        frames: FrameOptions = PLAIN,
        accept: Callable[[str, ImageFile], None] | None = None,
        memory: Path | None = None,
    ) -> None:
        self.decode, self.frames, self.accept = decode, frames, accept
        self._memory = cache_folder() / FILE if memory is None else memory
        self._known = _load(self._memory) if decode else {}
        self._new: dict[str, list[Any]] = {}

    def __call__(self, path: str) -> ImageFile | None:
        """What an image file says of itself.

        Raises:
            UserError: it cannot be read, see ``probe_image``, or is not accepted.
        """
        stamp = _stamp(path)
        if stamp is None:
            return None
        found = self._recall(path, stamp)
        if self.accept is not None:
            self.accept(path, found)
        return found

    def _recall(self, path: str, stamp: Stamp) -> ImageFile:
        """As remembered, or found out now."""
        key = os.path.abspath(path)
        known = self._known.get(key, [None])
        if known[0] == stamp and self.frames == PLAIN:
            height, width, channels, dtype = known[1]
            return ImageFile(height, width, channels, np.dtype(dtype))
        found = probe_image(path, self.decode, self.frames)
        if self.decode and self.frames == PLAIN:
            self._new[key] = [stamp, [*found[:3], found.dtype.str]]
        return found

    def remember(self) -> None:
        """Write down which files were good; a folder that cannot be written into is no harm."""
        if not self._new:
            return
        try:
            with write_whole(self._memory) as file:
                json.dump({**_load(self._memory), **self._new}, file)
        except UserError:
            return
        self._new = {}


def cache_folder() -> Path:
    """A folder for what can be made again, in the place that the system has for it."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / FOLDER


def _stamp(path: str) -> Stamp | None:
    """Size and time of the last change; None for what is no file, such as drawn images."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]


def _load(memory: Path) -> dict[str, list[Any]]:
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and all(map(_is_entry, found.values())) else {}


def _is_entry(value: Any) -> bool:
    try:
        stamp, (height, width, channels, dtype) = value
    except (TypeError, ValueError):
        return False
    numbers = (*stamp, height, width, channels) if isinstance(stamp, list) else ("",)
    return all(isinstance(n, int) for n in numbers) and isinstance(dtype, str)
