"""Places for results, made before anything is computed, and files that are whole or absent."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from recseg_d2.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

_BLOCK = 2**20  # bytes of a file that are read at a time


def make_folder(path: str | Path) -> Path:
    """Make a folder for results, and those above it, unless it is there.

    Raises:
        UserError: a file is in the way, or writing is not allowed.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Cannot make the folder {path} ({error}); name another.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"Cannot write into the folder {path}; name another, or allow writing.")
    return path


def make_place(path: str | Path) -> Path:
    """Make the folder that a file is going to be written into.

    Raises:
        UserError: the folder cannot be made or written into, or the path is a folder itself.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"Cannot write the file {path}: it is a folder; name a file in it.")
    make_folder(path.parent)
    return path


def part_of(path: Path) -> Path:
    """The hidden name under which this process writes what gets its own name when it is complete.

    Each process of a distributed job has its own, the same at the next attempt.
    """
    group = sys.modules.get("torch.distributed")  # who has not imported it is in no group
    rank = group.get_rank() if group and group.is_available() and group.is_initialized() else 0
    return path.with_name(f".{path.name}.{rank}.part" if rank else f".{path.name}.part")


@contextmanager
def write_whole(path: str | Path, mode: str = "w", durable: bool = True) -> Iterator[IO[Any]]:
    """A file to write to that has its name, and replaces what had it, only when it is complete.

    Whoever is killed while writing leaves what was there before; a hidden part may lie beside it,
    which the next attempt overwrites. Processes of one job may write the same file at once.

    Args:
        path: of the file; its folder is made where it is missing.
        mode: "w" (text in UTF-8, line ends as they are given), "wb" or "w+b".
        durable: whether to wait until the disk has it, so that a power failure leaves no empty
            file. Not for what a command writes by the thousand and can write again.

    Raises:
        UserError: the file cannot be written, as on a full disk; what was there is unchanged.
    """
    path = make_place(path)
    part = part_of(path)
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with open(part, mode, **text) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(
            f"Cannot write {path} ({error}); what was there before is unchanged. Make room or "
            "allow writing, and try again."
        ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def save_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, as ``write_whole``."""
    with write_whole(path) as file:
        file.write(text)


def save_image(path: str | Path, image: Image.Image, **options: Any) -> None:
    """Write an image in the format that the path's ending names, as ``write_whole``.

    Args:
        path: of the file; its folder is made where it is missing.
        image: to be written.
        options: of Pillow's writer of that format, such as ``quality``.

    Raises:
        UserError: the file cannot be written there.
    """
    from PIL import Image  # the maths, which writes no image, need not wait for it

    kind = Image.registered_extensions()[Path(path).suffix.lower()]
    with write_whole(path, "wb", durable=False) as file:
        image.save(file, kind, **options)


@contextmanager
def moved_when_whole(folder: str | Path) -> Iterator[Path]:
    """A hidden folder for code that opens its files by itself; they are moved when all is written.

    Args:
        folder: where the files go; it is made where it is missing, and files of other names stay.

    Raises:
        UserError: the folder cannot be made.
    """
    folder = make_folder(folder)
    part = folder / f".{os.getpid()}.part"
    try:
        yield make_folder(part)
        for path in part.iterdir():
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def save_scores(path: str | Path, scores: Any) -> Path:
    """Write numbers in dicts and lists, to any depth, as JSON; NaN becomes null.

    Raises:
        UserError: the file cannot be written there.
    """
    text = json.dumps(_nan_to_none(scores), indent=2, allow_nan=False)
    with write_whole(path) as file:
        file.write(text + "\n")
    return Path(path)


def read_json(path: str | Path, expected: str) -> Any:
    """The content of a JSON file.

    Args:
        path: the JSON file.
        expected: what it should be and how to get it, for the message.

    Raises:
        UserError: there is no such file, or it is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"is no JSON: {error}"
        raise UserError(f"{path}: cannot be read ({reason}); expected {expected}.") from error


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nan_to_none(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_nan_to_none(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
