"""What the package runs on: versions, hardware, and what of its requirements is installed."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

import detectron2
import numpy as np
import torch
from packaging.requirements import Requirement

PACKAGE = "recseg_d2"

# What the extras of setup.py are for. "all" and "dev" are made of others.
EXTRAS = {
    "tensorboard": "curves beside metrics.json",
    "baseline": "the classical methods to compare with, tables of measurements",
    "imagej": "outlines for the ROI manager of ImageJ and Fiji",
    "hdf5": "CVPPP's layout of 2017",
    "plots": "plots of recseg analyze, curves of recall",
    "napari": "the plugin of napari",
    "report": "recseg report, a page of results",
    "app": "recseg app, a page to correct what a model finds",
    "pretrained": "ImageNet weights of EfficientNet-Lite0",
    "onnx": "recseg export to ONNX",
    "completion": "recseg completion: names and options by the tab key",
    "docs": "this documentation as a site, `make site`",
}


@dataclass(frozen=True)
class Installed:
    """A package that this one needs or can use.

    Attributes:
        name: name of the package.
        found: its version; empty where it is not installed.
        wanted: versions that do, such as ">=2.6"; empty for any.
        usable: whether it is installed in such a version.
        extra: the extra that it belongs to; empty for what is always needed.
    """

    name: str
    found: str
    wanted: str
    usable: bool
    extra: str = ""


def environment() -> dict[str, str]:
    """Versions and hardware that numbers may depend on, by name."""
    found = {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        PACKAGE: package_version(),
        "detectron2": str(detectron2.__version__),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "threads": str(torch.get_num_threads()),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
    }
    if torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
        found["gpu"] = torch.cuda.get_device_name()
    return found


def package_version() -> str:
    """Version of this package."""
    return str(sys.modules[PACKAGE].__version__)  # which imports this module


def backend() -> str:
    """Which Detectron2 is used, and why, in a few words."""
    used = {"detectron2": "Detectron2 itself", "embedded": "the subset that comes with recseg_d2"}
    choice = os.environ.get("RECSEG_D2_BACKEND", "auto")
    return f"{used[sys.modules[PACKAGE].BACKEND]} (RECSEG_D2_BACKEND={choice})"


def installed() -> list[Installed]:
    """What the package needs and can use, as its installation says; empty where it has none.

    What is only needed by somebody who works on the package itself is left out.
    """
    try:
        lines = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:  # run from a folder on PYTHONPATH
        return []
    return list(_installed(lines))


def _installed(lines: list[str]) -> Iterator[Installed]:
    for line in lines:
        wanted = Requirement(line)
        named = re.search(r"extra == \"(\w+)\"", str(wanted.marker or ""))
        extra = named.group(1) if named else ""
        if extra and extra not in EXTRAS:
            continue
        version = _version(wanted.name)
        usable = bool(version) and wanted.specifier.contains(version, prereleases=True)
        yield Installed(wanted.name, version, str(wanted.specifier), usable, extra)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
