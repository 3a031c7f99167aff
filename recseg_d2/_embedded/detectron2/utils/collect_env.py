"""A table of versions for the log. May use: the standard library, torch, tabulate."""

from __future__ import annotations

import importlib.metadata as metadata
import sys

import torch
from tabulate import tabulate

__all__ = ["collect_env_info"]

PACKAGES = ("torch", "numpy", "pillow", "fvcore", "iopath", "pycocotools", "tensorboard")


def collect_env_info() -> str:
    """Versions of Python and of what results depend on, and the devices."""
    import detectron2

    installed = {d.metadata["Name"].lower(): d.version for d in metadata.distributions()}
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    rows = [
        ("Python", sys.version.replace("\n", "")),
        ("detectron2", f"{detectron2.__version__} @{detectron2.__path__[0]}"),
        *((name, installed.get(name, "not installed")) for name in PACKAGES),
        ("CPU threads", torch.get_num_threads()),
        ("GPUs", ", ".join(devices) or "none"),
    ]
    return tabulate(rows)
