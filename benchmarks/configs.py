"""The configs of benchmarks: random weights, and as many objects as there are steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode

from benchmarks.machine import has_bfloat16
from recseg_d2.config import load_config
from recseg_d2.engine.phases import phase_configs

LOW_HEAT = 1e-3  # a dense model with random weights has more than this everywhere
NamedConfig = tuple[str, CfgNode]


def benchmark_config(file: str, opts: Sequence[str]) -> CfgNode:
    """The config of a file's last phase, for random weights and no ground truth inside.

    Every model finds as many objects as a sequential one has steps, whatever it thinks of them;
    InstanceFCN, whose windows are on a grid, finds its proposals.

    Raises:
        UserError: see ``cli.train.load_config``.
    """
    *_, last = phase_configs(load_config(file, opts)).values()
    cfg = last.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.SEQUENTIAL.TEST.SCORE_THRESH = 0.0
    cfg.MODEL.RIS.SAMPLING.MASKS = cfg.MODEL.RIS.SAMPLING.BOXES = "never"
    search = cfg.MODEL.DENSE_ATTENTION.TEST
    search.HEAT_THRESH, search.SCORE_THRESH = LOW_HEAT, 0.0
    search.MAX_OBJECTS = cfg.MODEL.SEQUENTIAL.STEPS
    cfg.freeze()
    return cfg


def image_size_options(height: int, width: int) -> list[str]:
    """KEY VALUE pairs: images of batches, and of what loaders deliver, have this size in pixels.

    A model that takes images of any size is trained on squares, of the longer side.
    """
    sizes = ["MODEL.SEQUENTIAL.IMAGE_SIZE", f"({height}, {width})"]
    return [*sizes, "INPUT.SIMILARITY_CROP.SIZE", str(max(height, width))]


def in_precisions(
    files: Sequence[str], opts: Sequence[str], precisions: Sequence[str] | None
) -> list[NamedConfig]:
    """Each file's config in each precision.

    Args:
        files: configs, or names of shipped ones.
        opts: KEY VALUE pairs for all of them.
        precisions: values of MODEL.PRECISION; None is each config's own.

    Raises:
        UserError: see ``benchmark_config``.
    """
    chosen: list[list[str]] = [["MODEL.PRECISION", precision] for precision in precisions or ()]
    return [
        (Path(file).stem, benchmark_config(file, [*opts, *precision]))
        for file in files
        for precision in chosen or [[]]
    ]


def computable(configs: Sequence[NamedConfig]) -> list[NamedConfig]:
    """Those whose precision is more than emulated here; a line on the screen names the others."""
    found = []
    for name, cfg in configs:
        device = torch.device(cfg.MODEL.DEVICE)
        if cfg.MODEL.PRECISION == "bfloat16" and not has_bfloat16(device):
            print(f"{name}: {device} has no bfloat16 here, which is left out.")
        else:
            found.append((name, cfg))
    return found
