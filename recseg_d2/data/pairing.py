"""Images and label maps of a folder, matched by name. May use: the standard library only."""

from __future__ import annotations

import logging
from pathlib import Path

from recseg_d2.data.image_io import IMAGE_EXTENSIONS
from recseg_d2.data.label_io import LABEL_EXTENSIONS
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

_LOSSY = tuple(set(IMAGE_EXTENSIONS) - set(LABEL_EXTENSIONS))
_NAMES_IN_MESSAGE = 5


def pair_files(
    image_dir: Path,
    label_dir: Path,
    image_suffix: str = "",
    label_suffix: str = "",
    labels_optional: bool = False,
) -> list[tuple[str, Path, Path | None]]:
    """Match the images of a folder with label maps by what their stems have in common.

    Args:
        image_dir: holds the images.
        label_dir: holds the label maps; may be the same folder.
        image_suffix: what an image's stem ends in beyond the common part, such as "_rgb".
        label_suffix: the same for label maps, such as "_label".
        labels_optional: a folder without any label map is fine.

    Returns:
        (common stem, image, label map or None) in the order of the stems.

    Raises:
        UserError: a folder is missing, there is no image, an image has no label map, or two files
            have the same stem.
    """
    images = _files_by_stem(image_dir, image_suffix, IMAGE_EXTENSIONS)
    labels = _files_by_stem(label_dir, label_suffix, LABEL_EXTENSIONS)
    if not images:
        raise UserError(
            f"{image_dir}: found no image *{image_suffix}.* (looked for "
            f"{', '.join(IMAGE_EXTENSIONS)}); check the path."
        )
    missing, idle = sorted(images.keys() - labels), sorted(labels.keys() - images)
    if missing and (labels or not labels_optional):
        lossy = [] if label_dir == image_dir else _lossy_files(label_dir)
        hint = f" {lossy[0]} is of a lossy format, which changes labels: use PNG." if lossy else ""
        raise UserError(
            f"{image_dir}: {len(missing)} of {len(images)} images have no label map "
            f"<stem>{label_suffix}.* in {label_dir}, such as {_some(missing)}; add them (all 0 "
            f"where there is no object), or take the images away.{hint}"
        )
    if idle:
        logger.warning(
            "%s: label maps without an image (%d) are ignored: %s",
            label_dir,
            len(idle),
            _some(idle),
        )
    return [(stem, images[stem], labels.get(stem)) for stem in sorted(images)]


def _files_by_stem(folder: Path, suffix: str, extensions: tuple[str, ...]) -> dict[str, Path]:
    """Files of a folder by the part of their stem before ``suffix``."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; check the path.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in extensions or not path.stem.endswith(suffix):
            continue
        stem = path.stem[: len(path.stem) - len(suffix)]
        if stem in found:
            raise UserError(f"{path} and {found[stem].name} have the same stem; keep one of them.")
        found[stem] = path
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMES_IN_MESSAGE]) + (" ..." if len(names) > _NAMES_IN_MESSAGE else "")


def _lossy_files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix.lower() in _LOSSY)
