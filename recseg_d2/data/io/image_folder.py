"""Where the images are that an annotation file names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from recseg_d2.errors import UserError

_JSON_PREFIX = "instances_"


def image_path(root: Path, name: str, allow_outside: bool = False) -> Path:
    r"""The path of an image by its name in an annotation file.

    Names with the backslashes of Windows, and absolute ones of another machine, stand for the file
    of that path in the folder or, if there is none, of that last part.

    Args:
        root: the folder of the images.
        name: a path relative to it, such as "a.png", "sub/a.png" or "C:\\data\\a.png".
        allow_outside: whether files outside of the folder are taken, too.

    Raises:
        UserError: the name leads outside of the folder, where a file that somebody else wrote must
            not point.
    """
    path = root / name
    if allow_outside and path.is_file():
        return path
    for candidate in _candidates(root, name):
        if _is_inside(candidate) and (root / candidate).is_file():
            return root / candidate
    if not allow_outside and not _is_inside(name):
        raise UserError(
            f"found file_name {name!r}, which is not in {root}; move the images there, or allow "
            "files elsewhere by --allow-outside if you trust the annotations."
        )
    return path


def find_image_folder(json_file: Path, names: Iterable[str], allow_outside: bool = False) -> Path:
    """Where the images of a file in COCO's form are.

    It is the first of these folders that has one of them, for a file A/B/instances_X.json or
    A/B/X.json: A/X (as COCO's own), A/images/X, A/images, B/X, B/images and B.

    Args:
        json_file: the file of annotations.
        names: the images' names in it, at least one.
        allow_outside: whether images outside of the folder are taken, see ``image_path``.

    Raises:
        UserError: no folder has one.
    """
    names = list(names)
    stem, beside = json_file.stem.removeprefix(_JSON_PREFIX), json_file.resolve().parent
    above = beside.parent
    places = (
        *(above / stem, above / "images" / stem, above / "images"),
        *(beside / stem, beside / "images", beside),
    )
    for folder in places:
        if folder.is_dir() and any(_is_there(folder, name, allow_outside) for name in names):
            return folder
    looked = ", ".join(map(str, places))
    raise UserError(f"{json_file}: found none of its images, such as {names[0]}, in {looked}.")


def _is_there(folder: Path, name: str, allow_outside: bool) -> bool:
    try:
        return image_path(folder, name, allow_outside).is_file()
    except UserError:
        return False


def _candidates(root: Path, name: str) -> list[str]:
    """What a name may stand for, the most literal first."""
    if "\\" in name:
        windows = PureWindowsPath(name)
        return [name, windows.relative_to(windows.anchor).as_posix(), windows.name]
    path = PurePosixPath(name)
    if not path.is_absolute():
        return [name]
    inside = path.is_relative_to(root.absolute())
    return [*([str(path.relative_to(root.absolute()))] if inside else []), path.name]


def _is_inside(name: str) -> bool:
    """Whether a path stays under the folder that it is relative to; links may lead anywhere."""
    if os.path.isabs(name) or os.path.splitdrive(name)[0]:
        return False
    return os.path.normpath(name).split(os.sep)[0] != os.pardir
