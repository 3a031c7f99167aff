"""What is checked on a device, where, and how large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from detectron2.config import CfgNode

from benchmarks.configs import benchmark_config
from benchmarks.literal import MODES

Row = dict[str, Any]
Check = Callable[[float], Row]  # is told the seconds that are left

SEQUENTIAL = ("rsis_synthetic.yaml", "ris_synthetic.yaml")
FAMILIES = (*SEQUENTIAL, "instancefcn_synthetic.yaml", "dense_synthetic.yaml")
_TINY = {  # smallest sizes by the beginning of a config's name
    "": ("MODEL.SEQUENTIAL.IMAGE_SIZE", "(32, 32)", "MODEL.SEQUENTIAL.STEPS", "3"),
    "rsis": ("MODEL.SMALL_ENCODER.WIDTHS", "(4, 6)", "MODEL.RSIS.HIDDEN_WIDTHS", "(6, 4)"),
    "ris": (
        *("MODEL.RIS.BOX.WIDTHS", "(4, 4)", "MODEL.RIS.BOX.POOLS", "(2, 2)"),
        *("MODEL.RIS.BOX.HIDDEN_WIDTH", "6", "MODEL.RIS.PATCH.SIZE", "(8, 8)"),
        *("MODEL.RIS.PREPROCESSOR.WIDTHS", "((4, 4), (4, 6))"),
        *("MODEL.RIS.PREPROCESSOR.SKIPS", "(1, 1)"),
    ),
    "instancefcn": (
        *("MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH", "8"),
        *("MODEL.INSTANCE_FCN.TEST.SCALES", "(24, 36, 40)"),
        *("MODEL.INSTANCE_FCN.TEST.TOPK", "50"),
    ),
    "dense": ("MODEL.RESIDUAL_ENCODER.WIDTHS", "(4, 6, 8)"),
}


@dataclass(frozen=True)
class Settings:
    """Where and how large.

    Attributes:
        device: what is checked.
        tiny: whether models, batches and runs are as small as they can be.
    """

    device: torch.device
    tiny: bool = False

    @property
    def batch_size(self) -> int:
        """Images in a batch; RIS' schedule has as many."""
        return 2 if self.tiny else 8

    @property
    def repeats(self) -> int:
        """Timed runs, of which the median counts."""
        return 1 if self.tiny else 7

    def options(self, file: str) -> list[str]:
        """KEY VALUE pairs for a config."""
        options = ["MODEL.DEVICE", str(self.device)]
        if self.tiny:
            options += [*_TINY[""], *_TINY[file.split("_")[0]]]
        return options

    def config(self, file: str, *opts: str) -> CfgNode:
        """The config of a file's last phase, with random weights; all steps run."""
        return benchmark_config(file, [*self.options(file), *opts])


@dataclass(frozen=True)
class Part:
    """Some checks.

    Attributes:
        share: of the time, in about seconds.
        checks: the checks by their names.
    """

    share: float
    checks: Callable[[Settings], dict[str, Check]]


def each_model_and_mode(check: Callable[..., Row], settings: Settings) -> dict[str, Check]:
    """A check of (settings, config, mode, seconds left) for every family in both modes."""
    return {
        f"{file} {mode}": partial(check, settings, file, mode)
        for file in FAMILIES
        for mode in MODES
    }


@contextmanager
def tensor_cores(wanted: bool) -> Iterator[None]:
    """Whether products of float32 are computed in TF32, on devices that have it."""
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if wanted else "highest")
    torch.backends.cudnn.allow_tf32 = wanted
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions
