"""Places for results, made before anything is computed, and files that are whole or absent."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from recseg_d2.errors import UserError

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


@contextmanager
def write_whole(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write to that has its name, and replaces what had it, only when it is complete.

    Whoever is killed while writing leaves what was there before; a hidden ``.<name>.part`` may lie
    beside it, which the next attempt overwrites.

    Args:
        path: of the file; its folder is made where it is missing.
        mode: "w" (text in UTF-8, line ends as they are given) or "wb".

    Raises:
        UserError: the file cannot be written, as on a full disk; what was there is unchanged.
    """
    path = make_place(path)
    part = path.with_name(f".{path.name}.part")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with open(part, mode, **text) as file:
            yield file
            file.flush()
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
