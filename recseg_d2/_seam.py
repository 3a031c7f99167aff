"""Which Detectron2 the glue runs on.

Detectron2 is not on the package index, so the package brings the subset of it that the glue uses
and offers that subset, at the end of ``sys.path``, only where the real one is missing. Nothing
else in the package knows which of the two is in use.

``RECSEG_D2_BACKEND`` overrides the choice:
    auto        the real Detectron2 where it is installed, else the embedded subset (default)
    detectron2  the real one, or an error
    embedded    the subset, even where the real one is installed
    none        neither: only the arithmetic (layers, models, losses, metrics ...) is usable
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from pathlib import Path

BACKENDS = ("auto", "detectron2", "embedded", "none")
EMBEDDED_ROOT = Path(__file__).parent / "_embedded"

logger = logging.getLogger("recseg_d2")


def install(choice: str | None = None) -> str:
    """Make ``import detectron2`` work, and return what it will find.

    Args:
        choice: one of ``BACKENDS``; None reads the environment variable ``RECSEG_D2_BACKEND``.

    Returns:
        "detectron2", "embedded" or "none".

    Raises:
        ValueError: the choice is not one of ``BACKENDS``.
        ImportError: the chosen one cannot be had.
    """
    choice = choice or os.environ.get("RECSEG_D2_BACKEND", "auto")
    if choice not in BACKENDS:
        raise ValueError(f"RECSEG_D2_BACKEND={choice!r}: expected one of {', '.join(BACKENDS)}.")
    if choice == "none":
        return "none"
    if choice == "embedded":
        return _use_embedded(first=True)
    found = _real_is_there()
    if choice == "detectron2" and not found:
        raise ImportError(
            "RECSEG_D2_BACKEND=detectron2, but Detectron2 is not installed. Build it from its "
            "repository, or use RECSEG_D2_BACKEND=auto for the embedded subset."
        )
    return "detectron2" if found else _use_embedded(first=False)


def _real_is_there() -> bool:
    """Whether a Detectron2 other than the embedded one can be imported."""
    hidden = str(EMBEDDED_ROOT)
    if "detectron2" in sys.modules:
        return not str(sys.modules["detectron2"].__file__).startswith(hidden)
    paths = [p for p in sys.path if p != hidden]
    saved, sys.path = sys.path, paths
    try:
        spec = importlib.util.find_spec("detectron2")
    finally:
        sys.path = saved
    return spec is not None and spec.origin is not None  # origin is None for a stray empty folder


def _use_embedded(first: bool) -> str:
    loaded = sys.modules.get("detectron2")
    root = str(EMBEDDED_ROOT)
    if loaded is not None and not str(loaded.__file__).startswith(root):
        raise ImportError(
            f"RECSEG_D2_BACKEND=embedded, but {loaded.__file__} is imported already. Import "
            "recseg_d2 before detectron2."
        )
    if root in sys.path:
        sys.path.remove(root)
    sys.path.insert(0, root) if first else sys.path.append(root)
    logger.info("Detectron2: using the embedded subset in %s", root)
    return "embedded"
