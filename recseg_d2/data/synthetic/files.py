"""Drawn images as files that Detectron2's ``PathManager`` opens.

The path of an image is ``synthetic://<what>/<size>/<seed>.png``, where <what> is rosettes or
scenes. A handler draws it when it is opened, so that whatever reads images needs no file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import lru_cache
from typing import IO, Any

from detectron2.utils.file_io import PathManager
from iopath.common.file_io import PathHandler
from PIL import Image

from recseg_d2.data.synthetic import rosettes, scenes
from recseg_d2.errors import UserError

PREFIX = "synthetic://"
CACHED_IMAGES = 4096  # encoded; about 115 MB at 96x96, 205 MB at 128x128

# What can be drawn: the function of seed and size, whose first result is the image, and the least
# size.
DRAWINGS: dict[str, tuple[Callable[..., Any], int]] = {
    "rosettes": (rosettes.draw_rosette, rosettes.MIN_SIZE),
    "scenes": (scenes.draw_scene, scenes.MIN_SIZE),
}


def synthetic_path(what: str, size: int, seed: int) -> str:
    """The path of a drawn image; ``what`` is one of ``DRAWINGS``."""
    return f"{PREFIX}{what}/{size}/{seed}.png"


class SyntheticPathHandler(PathHandler):
    """Opens ``synthetic://<what>/<size>/<seed>.png`` as a PNG file, for reading."""

    _PATTERN = re.compile(re.escape(PREFIX) + rf"({'|'.join(DRAWINGS)})/(\d+)/(\d+)\.png")

    def _get_supported_prefixes(self) -> list[str]:
        return [PREFIX]

    def _open(
        self, path: str, mode: str = "r", buffering: int = -1, **kwargs: Any
    ) -> IO[str] | IO[bytes]:
        found = self._PATTERN.fullmatch(path)
        if found is None or mode != "rb":
            raise FileNotFoundError(
                f"{path!r} (mode {mode!r}): synthetic images are "
                f"{synthetic_path('rosettes', 96, 7)!r}, {synthetic_path('scenes', 128, 7)!r} and "
                "the like, and can only be read, with mode 'rb'."
            )
        return io.BytesIO(_png(found[1], int(found[2]), int(found[3])))

    def _exists(self, path: str, **kwargs: Any) -> bool:
        return self._PATTERN.fullmatch(path) is not None

    def _isfile(self, path: str, **kwargs: Any) -> bool:
        return self._exists(path)


@lru_cache(maxsize=CACHED_IMAGES)
def _png(what: str, size: int, seed: int) -> bytes:
    draw, least = DRAWINGS[what]
    if size < least:
        raise UserError(
            f"{synthetic_path(what, size, seed)}: expected at least {least} pixels a side."
        )
    buffer = io.BytesIO()
    Image.fromarray(draw(seed, size)[0]).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


PathManager.register_handler(SyntheticPathHandler(), allow_override=True)
