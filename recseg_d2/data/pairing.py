"""Images and label maps of a folder, matched by name."""

from __future__ import annotations

import logging
from pathlib import Path

from recseg_d2.data.image_io import IMAGE_EXTENSIONS
from recseg_d2.data.label_io import LABEL_EXTENSIONS
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

_LOSSY = tuple(set(IMAGE_EXTENSIONS) - set(LABEL_EXTENSIONS))
_NAMES_IN_MESSAGE = 5
_ADVICE = "add one (all 0 where there is no object), or take the image away"

Pair = tuple[str, Path, Path | None]  # common stem, image, label map


def pair_files(
    image_dir: Path,
    label_dir: Path,
    image_suffix: str = "",
    label_suffix: str = "",
    labels_optional: bool = False,
) -> list[Pair]:
    """As ``find_pairs``, but every image must have a label map.

    Args:
        image_dir: this, and the next three, as in ``find_pairs``.
        label_dir: holds the label maps.
        image_suffix: of the images' stems.
        label_suffix: of the label maps' stems.
        labels_optional: a folder without any label map is fine.

    Raises:
        UserError: as ``find_pairs``, or an image has no label map.
    """
    pairs = find_pairs(image_dir, label_dir, image_suffix, label_suffix)
    missing = [stem for stem, _, label in pairs if label is None]
    if missing and not (labels_optional and len(missing) == len(pairs)):
        raise UserError(
            f"{image_dir}: {len(missing)} of {len(pairs)} images have no label map "
            f"<stem>{label_suffix}.* in {label_dir}, such as {_some(missing)}; {_ADVICE}."
            f"{_lossy_hint(image_dir, label_dir)}"
        )
    return pairs


def find_pairs(
    image_dir: Path, label_dir: Path, image_suffix: str = "", label_suffix: str = ""
) -> list[Pair]:
    """Match the images of a folder with label maps by what their stems have in common.

    Args:
        image_dir: holds the images.
        label_dir: holds the label maps; may be the same folder.
        image_suffix: what an image's stem ends in beyond the common part, such as "_rgb".
        label_suffix: the same for label maps, such as "_label".

    Returns:
        (common stem, image, label map or None) in the order of the stems.

    Raises:
        UserError: a folder is missing, there is no image, or two files have the same stem.
    """
    images = _files_by_stem(image_dir, image_suffix, IMAGE_EXTENSIONS)
    labels = _files_by_stem(label_dir, label_suffix, LABEL_EXTENSIONS)
    if not images:
        raise UserError(
            f"{image_dir}: found no image *{image_suffix}.* (looked for "
            f"{', '.join(IMAGE_EXTENSIONS)}); check the path."
        )
    idle = sorted(labels.keys() - images)
    if idle:
        logger.warning(
            "%s: label maps without an image (%d) are ignored: %s",
            label_dir,
            len(idle),
            _some(idle),
        )
    return [(stem, images[stem], labels.get(stem)) for stem in sorted(images)]


def missing_label(stem: str, image_dir: Path, label_dir: Path, label_suffix: str = "") -> str:
    """What to say of an image without a label map."""
    expected = label_dir / f"{stem}{label_suffix}.png"
    return f"has no label map {expected}; {_ADVICE}.{_lossy_hint(image_dir, label_dir, stem)}"


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


def _lossy_hint(image_dir: Path, label_dir: Path, stem: str | None = None) -> str:
    """A sentence on label maps, or that of ``stem``, in a lossy format; empty without any."""
    if label_dir == image_dir:
        return ""
    lossy = sorted(p for p in label_dir.iterdir() if p.suffix.lower() in _LOSSY)
    lossy = [p for p in lossy if stem is None or p.stem == stem]
    return f" {lossy[0].name} is of a lossy format, which changes labels: use PNG." if lossy else ""
