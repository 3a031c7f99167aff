"""``recseg doctor``: what is installed, which Detectron2 and device are used, and what to do."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence

import torch
from tabulate import tabulate

from recseg_d2 import model_zoo
from recseg_d2.config.device import available_device
from recseg_d2.data.catalog import datasets_root
from recseg_d2.engine.environment import EXTRAS, Installed, backend, environment, installed
from recseg_d2.errors import UserError
from recseg_d2.model_zoo.registry import PREFIX

_BYTES_PER_GB = 2**30


def build_parser() -> argparse.ArgumentParser:
    """The tool has no options."""
    return argparse.ArgumentParser(
        prog="recseg doctor",
        description="Say what is installed, which Detectron2 and which device are used, and what "
        "to do about what is missing. The exit code is 1 where something is broken.",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print what is there; returns 1 where something is broken, 0 otherwise."""
    build_parser().parse_args(argv)
    packages = installed()
    required = [one for one in packages if not one.extra]
    print(_table(_setting()))
    print(_table([("package", "found", "wanted"), *map(_row, required)]))
    print(_table([("extra", "for", "state"), *_extras(packages)]))
    broken, advice = list(_broken(required)), list(_advice(packages))
    print("What to do:" if broken or advice else "Nothing has to be done.")
    for text in (*broken, *advice):
        print(f"- {text}")
    return 1 if broken else 0


def version_lines() -> str:
    """Versions of what numbers may depend on, a line each; what ``recseg --version`` prints."""
    seen = environment()
    lines = {name: seen[name] for name in ("recseg_d2", "detectron2", "python", "platform")}
    lines |= {one.name: one.found or "missing" for one in installed() if not one.extra}
    lines |= {name: seen[name] for name in ("torch", "numpy", "cuda", "gpu") if name in seen}
    return _table(list(lines.items())).rstrip()


def _table(rows: Sequence[tuple[str, str] | tuple[str, str, str]]) -> str:
    """Rows as aligned columns, with an empty line below; versions are no numbers."""
    return tabulate(rows, tablefmt="plain", disable_numparse=True) + "\n"


def _setting() -> list[tuple[str, str]]:
    seen = environment()
    return [
        ("recseg_d2", f"{seen['recseg_d2']} on Python {seen['python']}, {seen['platform']}"),
        ("Detectron2", f"{seen['detectron2']}, {backend()}"),
        ("device", _device()),
        ("data sets", f"{datasets_root().absolute()} ($DETECTRON2_DATASETS)"),
        ("model zoo", ", ".join(f"{PREFIX}{name}" for name in model_zoo.names())),
    ]


def _device() -> str:
    device = available_device()
    if device == "cuda":
        of = torch.cuda.get_device_properties(0)
        return f"cuda: {of.name}, {of.total_memory / _BYTES_PER_GB:.0f} GB"
    return f"{device}, {torch.get_num_threads()} of {os.cpu_count()} threads"


def _row(one: Installed) -> tuple[str, str, str]:
    return one.name, one.found or "missing", one.wanted or "any"


def _extras(packages: Sequence[Installed]) -> Iterator[tuple[str, str, str]]:
    for name, purpose in EXTRAS.items():
        lacking = [one for one in packages if one.extra == name and not one.usable]
        known = any(one.extra == name for one in packages)
        state = ", ".join(f"{one.name} {one.found or 'missing'}" for one in lacking)
        yield name, purpose, state or ("installed" if known else "not known")


def _broken(required: Sequence[Installed]) -> Iterator[str]:
    for one in required:
        if not one.usable:
            wanted = one.name + one.wanted
            found = f"{one.found} is installed" if one.found else "it is missing"
            yield f"{wanted} is needed, but {found}: pip install '{wanted}'"
    for name in model_zoo.names():
        try:
            model_zoo.get_checkpoint(name)
        except UserError as error:
            yield str(error)


def _advice(packages: Sequence[Installed]) -> Iterator[str]:
    if not packages:
        yield (
            "recseg_d2 runs from a folder and is not installed, so it is not known what it needs: "
            "`pip install -e .` in its checkout."
        )
    if available_device() == "cpu" and shutil.which("nvidia-smi"):
        yield (
            f"This machine has an NVIDIA driver, but PyTorch {torch.__version__} finds no GPU: "
            "install a build of it for CUDA that the driver supports (pytorch.org/get-started)."
        )
    known = {one.extra for one in packages}
    older = [extra for extra in EXTRAS if packages and extra not in known]
    if older:
        yield (
            f"The installation is older than the code and does not know {', '.join(older)}: "
            "install the package again."
        )
    lacking = {one.extra: None for one in packages if one.extra and not one.usable}
    for extra in lacking:
        yield f"For {EXTRAS[extra]}: pip install 'recseg_d2[{extra}]'"
