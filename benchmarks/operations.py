"""Where a model's time goes, by kinds of operation, and how much of the machine's peak it uses."""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import GIGA, matrix_gflops
from benchmarks.measuring import MeasureOptions
from benchmarks.models import TimedCall, build_step

# The first of these whose words are part of an operation's name is its kind.
KINDS = {
    "convolutions": ("conv",),
    "norms": ("norm",),
    "ReLU": ("relu", "threshold_backward"),
    "pooling": ("pool",),
    "matrix products": ("mm", "matmul"),
}
REST = "everything else"
MILLISECONDS = 1000.0


def operation_rows(name: str, cfg: CfgNode, mode: str, options: MeasureOptions) -> list[Any]:
    """A row for each kind of operation of one call, and one for all of it.

    Args:
        name: of the config, in the rows.
        cfg: see ``Subject``.
        mode: see ``Subject``.
        options: images of the call, and threads of the CPU.
    """
    _, step = build_step(options.subject(cfg, mode))
    step()
    spent = milliseconds_by_kind(step, torch.device(cfg.MODEL.DEVICE))
    total = sum(spent.values())
    rows = [
        {"config": name, "mode": mode, "operations": kind, "ms": ms, "share %": 100 * ms / total}
        for kind, ms in spent.items()
    ]
    with FlopCounterMode(display=False) as counter:
        step()
    gflop = counter.get_total_flops() / GIGA
    peak = matrix_gflops(torch.device(cfg.MODEL.DEVICE), options.threads, cfg.MODEL.PRECISION)
    of_peak = 100 * gflop / (total / MILLISECONDS) / peak
    return [*rows, {**rows[0], "operations": "all", "ms": total, "share %": 100.0, "GFLOP": gflop,
                    "% of matrix peak": of_peak}]  # fmt: skip


def milliseconds_by_kind(step: TimedCall, device: torch.device, calls: int = 3) -> dict[str, float]:
    """Milliseconds of a call by kind of operation, the mean of some calls.

    On a CPU the time of the threads that call operations; on a GPU that of its kernels.
    """
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        for _ in range(calls):
            step()
    spent = dict.fromkeys([*KINDS, REST], 0.0)
    for event in profiler.key_averages():
        micros = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        spent[kind_of(event.key)] += micros / calls / MILLISECONDS
    return spent


def kind_of(operation: str) -> str:
    """The kind of an operation, by its name in a profile."""
    name = operation.lower()
    fits = (kind for kind, words in KINDS.items() if any(word in name for word in words))
    return next(fits, REST)
