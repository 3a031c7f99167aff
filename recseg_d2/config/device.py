"""Where to compute."""

from __future__ import annotations

import logging
from typing import Any

import torch

logger = logging.getLogger(__name__)


def available_device() -> str:
    """The best device of this machine: "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def resolve_device(cfg: Any) -> str:
    """The device to use for a config's MODEL.DEVICE.

    "auto" is the best there is. A config that was written on a machine with a GPU works on one
    without: a device that is not there is replaced, and a log line says so.
    """
    wanted = cfg.MODEL.DEVICE
    if wanted == "auto":
        return available_device()
    kind = wanted.split(":")[0]
    missing = (kind == "cuda" and not torch.cuda.is_available()) or (
        kind == "mps" and not torch.backends.mps.is_available()
    )
    if not missing:
        return wanted
    found = available_device()
    logger.warning("MODEL.DEVICE is %s, which is not on this machine; using %s.", wanted, found)
    return found
