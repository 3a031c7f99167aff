"""Images a second and peak memory of models, beside their paper-literal versions."""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode

from benchmarks.measuring import (
    MEBIBYTE,
    THEIRS,
    MeasureOptions,
    peak_mebibytes,
    versions_of,
)
from benchmarks.models import build_step, interleaved_seconds, peak_bytes

Row = dict[str, Any]


def speed_rows(name: str, cfg: CfgNode, mode: str, options: MeasureOptions) -> list[Row]:
    """A row for each version of a model.

    Args:
        name: of the config, in the rows.
        cfg: see ``Subject``.
        mode: see ``Subject``.
        options: how it is measured.
    """
    subjects = versions_of(cfg, mode, options)
    if options.literal and THEIRS not in subjects:
        print(f"{name}, {mode}: {cfg.MODEL.META_ARCHITECTURE} has no paper-literal version.")
    steps = {version: build_step(subject)[1] for version, subject in subjects.items()}
    seconds = interleaved_seconds(steps, options.repeats, torch.device(cfg.MODEL.DEVICE))
    steps.clear()  # their models' memory is not to be counted
    speed = {version: s.batch_size / seconds[version] for version, s in subjects.items()}
    return [
        {
            "config": name,
            "precision": cfg.MODEL.PRECISION,
            "mode": mode,
            "version": version,
            "images/s": speed[version],
            "times literal": speed[version] / speed[THEIRS] if THEIRS in speed else None,
            "peak MiB": peak_mebibytes(subject, seconds[version], options),
        }
        for version, subject in subjects.items()
    ]


def memory_rows(name: str, shared: CfgNode, options: MeasureOptions) -> list[Row]:
    """The peak of training, with all steps kept for the gradient and with each computed anew."""
    rows: list[Row] = []
    for recompute in (False, True):
        cfg = shared.clone()
        cfg.defrost()
        cfg.MODEL.SEQUENTIAL.RECOMPUTE_STEPS = recompute
        cfg.freeze()
        peak = peak_bytes(options.subject(cfg, "training"))
        rows.append(
            {
                "config": name,
                "pixels": "x".join(map(str, cfg.MODEL.SEQUENTIAL.IMAGE_SIZE)),
                "steps": cfg.MODEL.SEQUENTIAL.STEPS,
                "recomputed": recompute,
                "peak MiB": None if peak is None else peak / MEBIBYTE,
            }
        )
    return rows
