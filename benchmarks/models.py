"""Speed and memory of a model, and of the same model made paper-literal; see ``literal``."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from benchmarks.batches import dictate_scores, random_batch
from benchmarks.literal import LITERAL, MODES
from recseg_d2.engine.solver import build_optimizer
from recseg_d2.errors import UserError

PATIENCE = 10.0  # seconds; what takes longer is timed once, and nothing else of it is measured
PROCESS_STATUS = Path("/proc/self/status")
FORGET_PEAK = (Path("/proc/self/clear_refs"), "5")  # what is to be written there

TimedCall = Callable[[], object]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        cfg: a frozen config; its SOLVER.PHASES are not looked at.
        mode: what is timed, one of ``MODES``.
        batch_size: number of images in a step.
        literal: whether the model is made paper-literal; ``LITERAL`` has its architecture and mode.
        threads: number of CPU threads that PyTorch may use.
        objects: see ``random_batch``.
    """

    cfg: CfgNode
    mode: str
    batch_size: int
    literal: bool
    threads: int
    objects: tuple[int, int] | None = None


def build_step(subject: Subject) -> tuple[torch.nn.Module, TimedCall]:
    """The model, and a function that does one step of the mode on one random batch.

    Raises:
        UserError: an unknown mode.
    """
    if subject.mode not in MODES:
        raise UserError(f"Benchmark mode is {subject.mode!r}: expected one of {', '.join(MODES)}.")
    torch.set_num_threads(subject.threads)
    torch.manual_seed(0)
    model = build_model(subject.cfg)
    if subject.literal:
        LITERAL[subject.cfg.MODEL.META_ARCHITECTURE].make(model)
    batch = random_batch(subject.cfg, subject.batch_size, subject.objects)
    if subject.mode == "inference":
        model.eval()
        if subject.objects:
            dictate_scores(model, batch)
        return model, torch.inference_mode()(lambda: model(batch))
    model.train()
    return model, Update(model, build_optimizer(subject.cfg, model), batch)


@dataclass
class Update:
    """A step of training on a batch."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    batch: list[dict[str, Any]]

    def __call__(self) -> None:
        """Losses, gradients, and the optimiser's update."""
        self.optimizer.zero_grad()
        sum(self.model(self.batch).values()).backward()
        self.optimizer.step()


def interleaved_seconds(
    steps: Mapping[str, TimedCall], repeats: int, device: torch.device, warm_ups: int = 1
) -> dict[str, float]:
    """Median seconds of each step, all in turn."""

    def seconds(step: TimedCall) -> float:
        synchronize(device)
        started = time.perf_counter()
        step()
        synchronize(device)
        return time.perf_counter() - started

    calls = {name: partial(seconds, step) for name, step in steps.items()}
    found = in_turn(calls, repeats, float, warm_ups)
    return {name: statistics.median(values) for name, values in found.items()}


def in_turn(
    calls: Mapping[str, Callable[[], Result]],
    repeats: int,
    seconds: Callable[[Result], float],
    warm_ups: int = 1,
) -> dict[str, list[Result]]:
    """What calls return, all in turn, so that noise of the machine meets all alike.

    Args:
        calls: the calls by name.
        repeats: results of each; of one that takes longer than ``PATIENCE`` only the first.
        seconds: how long a call took, from its result.
        warm_ups: calls whose results are left out before.
    """
    results: dict[str, list[Result]] = {name: [] for name in calls}
    slow = set()
    for repeat in range(warm_ups + repeats):
        for name in [n for n in calls if n not in slow]:
            result = calls[name]()
            if not repeat and seconds(result) > PATIENCE:
                slow.add(name)
            if repeat >= warm_ups or name in slow:
                results[name].append(result)
    return results


def peak_bytes(subject: Subject) -> int | None:
    """The most memory that a step needs, weights included.

    On a CUDA device, what PyTorch has allocated at most. On a CPU, how much the resident memory of
    a process of its own grows in its first step; None where the system does not tell.
    """
    if torch.device(subject.cfg.MODEL.DEVICE).type == "cuda":
        _, step = build_step(subject)
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_resident_bytes, (subject,))


def _resident_bytes(subject: Subject) -> int | None:
    """Bytes of the weights, and the growth of this process's peak in a step."""
    model, step = build_step(subject)
    growth = peak_growth(step)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return None if growth is None else growth + weights


def peak_growth(call: TimedCall) -> int | None:
    """By how many bytes a call raises the most resident memory that this process has had.

    On Linux the peak before is that of this moment, elsewhere that of the process's life; None
    where the system does not tell.
    """
    if sys.platform == "win32":
        call()
        return None
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        # memory that was freed and kept would serve the call unseen
        ctypes.CDLL(None).malloc_trim(0)
    place, order = FORGET_PEAK
    if place.exists():
        with contextlib.suppress(OSError):  # not everywhere may a process write there
            place.write_text(order)
    before = _peak_resident_bytes()
    call()
    return _peak_resident_bytes() - before


def _peak_resident_bytes() -> int:
    """The most memory that this process has had at any time."""
    if PROCESS_STATUS.exists():  # Linux, whose getrusage counts the parent's memory in
        (line,) = (x for x in PROCESS_STATUS.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
