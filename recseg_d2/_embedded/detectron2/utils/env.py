"""Seeds."""

from __future__ import annotations

import logging
import os
import random

import numpy as np
import torch

__all__ = ["seed_all_rng"]


def seed_all_rng(seed: int | None = None) -> None:
    """Seed Python, numpy and torch; None takes a seed from the operating system and logs it."""
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
        logging.getLogger(__name__).info("Using a generated random seed %d", seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (users' augmentations draw from the global generator)
    torch.manual_seed(seed)  # of all devices
    os.environ["PYTHONHASHSEED"] = str(seed)
