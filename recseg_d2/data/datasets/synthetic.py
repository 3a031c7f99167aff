"""The built-in data sets ``synthetic_rosettes_{train,val,dev}``: drawn on demand, no files.

A drawn image's "file" is ``synthetic://<what>/<size>/<seed>.png``, where <what> is rosettes or
scenes; a handler on Detectron2's ``PathManager`` draws it when it is opened, so that ``read_image``
and everything built on it work.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import IO, Any

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils.file_io import PathManager
from iopath.common.file_io import PathHandler
from PIL import Image

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.rosettes import MIN_SIZE, REFERENCE_SIZE, draw_label_map, draw_rosette
from recseg_d2.data.scenes import MIN_SIZE as MIN_SCENE_SIZE
from recseg_d2.data.scenes import draw_scene
from recseg_d2.errors import UserError

PREFIX = "synthetic://"
CACHED_IMAGES = 4096  # encoded; about 115 MB at 96x96, 205 MB at 128x128

# What can be drawn: the function of seed and size, whose first result is the image, and the least
# size.
DRAWINGS: dict[str, tuple[Callable[..., Any], int]] = {
    "rosettes": (draw_rosette, MIN_SIZE),
    "scenes": (draw_scene, MIN_SCENE_SIZE),
}

# name: number of images, first seed. The ranges of seeds do not meet. "dev" is for choosing
# hyper-parameters, so that "val" stays unseen.
BUILTIN = {
    "synthetic_rosettes_train": (3000, 0),
    "synthetic_rosettes_val": (200, 1_000_000),
    "synthetic_rosettes_dev": (200, 2_000_000),
}


def register_synthetic_rosettes(
    name: str, num_images: int, first_seed: int, size: int = REFERENCE_SIZE
) -> None:
    """Register rosettes with the seeds ``first_seed`` ... as a data set of one class, "leaf".

    Args:
        name: the data set's name in the catalogs.
        num_images: how many.
        first_seed: keep the ranges of a training and a test set apart.
        size: side of the images in pixels.
    """
    DatasetCatalog.register(name, partial(load_rosettes, num_images, first_seed, size))
    MetadataCatalog.get(name).set(thing_classes=["leaf"], evaluator_type="leaf")


def load_rosettes(num_images: int, first_seed: int, size: int) -> list[dict[str, Any]]:
    """Standard dicts of the rosettes with ``num_images`` seeds from ``first_seed`` on."""
    return [_standard_dict(size, first_seed + i) for i in range(num_images)]


def rosette_path(size: int, seed: int) -> str:
    """The path under which Detectron2's ``PathManager`` opens a rosette."""
    return synthetic_path("rosettes", size, seed)


def synthetic_path(what: str, size: int, seed: int) -> str:
    """The path of any drawn image; ``what`` is one of ``DRAWINGS``."""
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
                f"{path!r} (mode {mode!r}): synthetic images are {rosette_path(96, 7)!r}, "
                f"{synthetic_path('scenes', 128, 7)!r} and the like, and can only be read, with "
                "mode 'rb'."
            )
        return io.BytesIO(_png(found[1], int(found[2]), int(found[3])))

    def _exists(self, path: str, **kwargs: Any) -> bool:
        return self._PATTERN.fullmatch(path) is not None

    def _isfile(self, path: str, **kwargs: Any) -> bool:
        return self._exists(path)


def _standard_dict(size: int, seed: int) -> dict[str, Any]:
    return {
        "file_name": rosette_path(size, seed),
        "height": size,
        "width": size,
        "image_id": seed,
        "annotations": label_map_to_annotations(draw_label_map(seed, size)),
    }


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


def register_builtin() -> None:
    """Register the path handler and the three data sets; drawing waits until they are used."""
    PathManager.register_handler(SyntheticPathHandler(), allow_override=True)
    for name, (num_images, first_seed) in BUILTIN.items():
        register_synthetic_rosettes(name, num_images, first_seed)
