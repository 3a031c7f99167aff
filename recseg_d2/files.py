"""Places for results, made before anything is computed, and scores as JSON."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from recseg_d2.errors import UserError


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


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all, even if the process is killed.

    Raises:
        OSError: the folder is missing, full or read-only.
    """
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)


def save_scores(path: str | Path, scores: Any) -> Path:
    """Write numbers in dicts and lists, to any depth, as JSON; NaN becomes null.

    Raises:
        UserError: the file cannot be written there.
    """
    path = make_place(path)
    text = json.dumps(_nan_to_none(scores), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read_json(path: str | Path, expected: str) -> Any:
    """The content of a JSON file.

    Args:
        path: of the file.
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
