"""Images and label maps of folders, matched by the stems of their names."""

from __future__ import annotations

import logging
from pathlib import Path

from recseg_d2.data.io.image_files import IMAGE_EXTENSIONS
from recseg_d2.data.io.label_maps import LABEL_EXTENSIONS
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

# What the names of label maps have more than those of their images: CVPPP's, Cellpose's, others'.
LABEL_SUFFIXES = ("_label", "_labels", "_mask", "_masks", "_cp_masks", "_seg")

_LOSSY = tuple(set(IMAGE_EXTENSIONS) - set(LABEL_EXTENSIONS))
_NAMES_IN_MESSAGE = 5

Pair = tuple[str, Path, Path | None]  # common stem, image, label map


def find_pairs(
    image_dir: Path, label_dir: Path, image_suffix: str = "", label_suffix: str = ""
) -> list[Pair]:
    """Match the images of a folder with label maps by what their stems have in common.

    Args:
        image_dir: holds the images, also in folders within it.
        label_dir: holds the label maps, in folders of the same names; may be the same folder, where
            folders within it are left alone.
        image_suffix: what an image's stem ends in beyond the common part, such as "_rgb".
        label_suffix: what the names of label maps end with before the ending, such as "_label".

    Returns:
        (common stem, image, label map or None) in the order of the stems.

    Raises:
        UserError: a folder is missing, there is no image, or two files have the same stem.
    """
    nested = image_dir != label_dir
    images = files_by_stem(image_dir, image_suffix, IMAGE_EXTENSIONS, nested)
    labels = files_by_stem(label_dir, label_suffix, LABEL_EXTENSIONS, nested)
    if not nested:  # label maps are images, too
        images = {stem: path for stem, path in images.items() if path not in labels.values()}
    if not images:
        raise UserError(
            f"{image_dir}: found no image *{image_suffix}.* (looked for "
            f"{', '.join(IMAGE_EXTENSIONS)}); check the path."
        )
    idle = sorted(labels.keys() - images)
    if idle:
        shown = ", ".join(idle[:_NAMES_IN_MESSAGE]) + " ..." * (len(idle) > _NAMES_IN_MESSAGE)
        logger.warning(
            "%s: label maps without an image (%d) are ignored: %s", label_dir, len(idle), shown
        )
    return [(stem, images[stem], labels.get(stem)) for stem in sorted(images)]


def find_label_maps(folder: str | Path) -> dict[str, Path]:
    """Label maps of a folder by image name (the stem without one of ``LABEL_SUFFIXES``), sorted.

    Where a folder has ``X_label`` or the like, other files of the same image (``X``, ``X_rgb``,
    ``X_fg``, as in the CVPPP folders) are no label maps and are passed over.

    Raises:
        UserError: there is no such folder, or two files have the same stem.
    """
    files = files_by_stem(Path(folder), "", LABEL_EXTENSIONS)
    marked = {stem: _without_suffix(stem) for stem in files}
    images = {image for stem, image in marked.items() if image != stem}
    found: dict[str, Path] = {}
    for stem, path in files.items():
        image = marked[stem]
        if image == stem and not images.isdisjoint((stem, stem.rpartition("_")[0])):
            continue
        if image in found:
            raise UserError(
                f"{path} and {found[image].name} are both of {image}; keep one of them."
            )
        found[image] = path
    return found


def _without_suffix(stem: str) -> str:
    longest_first = sorted(LABEL_SUFFIXES, key=len, reverse=True)
    return next((stem.removesuffix(s) for s in longest_first if stem.endswith(s)), stem)


def files_by_stem(
    folder: Path, suffix: str, extensions: tuple[str, ...], nested: bool = False
) -> dict[str, Path]:
    """The files of a folder by the part of their stems before ``suffix``, in sorted order.

    With ``nested`` also those of folders within it, by "folder/stem".

    Hidden files are none, such as the ``._*`` that macOS leaves beside files on other disks.

    Raises:
        UserError: the folder is missing, or two files have the same stem.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; check the path.")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*") if nested else folder.iterdir()):
        whole_stem = path.stem.removesuffix(".ome")  # X.ome.tif is of X
        if path.suffix.lower() not in extensions or not whole_stem.endswith(suffix):
            continue
        within = path.relative_to(folder)
        if any(part.startswith(".") for part in within.parts):
            continue
        name = whole_stem[: len(whole_stem) - len(suffix)]
        stem = "/".join((*within.parts[:-1], name))
        if stem in found:
            raise UserError(f"{path} and {found[stem].name} have the same stem; keep one of them.")
        found[stem] = path
    return found


def lossy_hint(missing: Path) -> str:
    """A sentence on a file that is there instead of a label map, in a lossy format; or nothing."""
    for ending in _LOSSY:
        if missing.with_suffix(ending).is_file():
            found = missing.with_suffix(ending).name
            return f" {found} is of a lossy format, which changes labels: use PNG."
    return ""
