"""Places for results, made before anything is computed, and scores as JSON."""

from __future__ import annotations

import json
import math
import os
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


def save_scores(path: str | Path, scores: Any) -> Path:
    """Write numbers in dicts and lists, to any depth, as JSON; NaN becomes null.

    Raises:
        UserError: the file cannot be written there.
    """
    path = make_place(path)
    text = json.dumps(_nan_to_none(scores), indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _nan_to_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nan_to_none(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_nan_to_none(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
