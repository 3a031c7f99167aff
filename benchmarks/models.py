"""Speed and memory of a model, and of the same model made paper-literal.

A paper-literal version is made by a function of ``tests/reference``, which lets a built model
compute its sequence as the paper's equations stand, every step from its inputs. The weights,
losses, data and optimiser are the same; what differs is how the sequence is computed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances
from reference import ris_literal, rsis_literal

from recseg_d2.engine.solver import build_optimizer
from recseg_d2.errors import UserError

MODES = ("inference", "training")
LITERAL: dict[str, Callable[[torch.nn.Module], None]] = {  # architecture -> what makes it literal
    "ConvLSTMSemInstSeg": rsis_literal.make_literal,
    "RecurrentAttentionSeg": ris_literal.make_literal,
}
PROCESS_STATUS = Path("/proc/self/status")
FORGET_PEAK = (Path("/proc/self/clear_refs"), "5")  # what is to be written there

TimedCall = Callable[[], object]


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        cfg: a frozen config; its SOLVER.PHASES are not looked at.
        mode: what is timed, one of ``MODES``.
        batch_size: number of images in a step.
        literal: whether the model is made paper-literal; its architecture is in ``LITERAL``.
        threads: number of CPU threads that PyTorch may use.
    """

    cfg: CfgNode
    mode: str
    batch_size: int
    literal: bool
    threads: int


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
        LITERAL[subject.cfg.MODEL.META_ARCHITECTURE](model)
    batch = random_batch(subject.cfg, subject.batch_size)
    if subject.mode == "inference":
        model.eval()
        return model, torch.inference_mode()(lambda: model(batch))
    model.train()
    return model, partial(update, model, build_optimizer(subject.cfg, model), batch)


def update(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, batch: list[dict[str, Any]]
) -> None:
    """A step of training on a batch."""
    optimizer.zero_grad()
    sum(model(batch).values()).backward()
    optimizer.step()


def random_batch(cfg: CfgNode, batch_size: int) -> list[dict[str, Any]]:
    """Noise with one object fewer than the model has steps, so that training runs them all.

    Images have the model's working resolution; objects are rectangles anywhere in it.
    """
    height, width = cfg.MODEL.SEQUENTIAL.IMAGE_SIZE
    count = max(1, cfg.MODEL.SEQUENTIAL.STEPS - 1)
    generator = torch.Generator().manual_seed(0)
    batch = []
    for _ in range(batch_size):
        image = torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
        corner = torch.rand(count, 2, generator=generator) * 0.75
        y = torch.arange(height) / height
        x = torch.arange(width) / width
        inside_y = (y >= corner[:, :1]) & (y < corner[:, :1] + 0.25)
        inside_x = (x >= corner[:, 1:]) & (x < corner[:, 1:] + 0.25)
        masks = inside_y[:, :, None] & inside_x[:, None, :]
        instances = Instances((height, width), gt_masks=BitMasks(masks))
        instances.gt_classes = torch.zeros(count, dtype=torch.int64)
        batch.append({"image": image, "instances": instances, "height": height, "width": width})
    return batch


def interleaved_seconds(
    steps: Mapping[str, TimedCall], repeats: int, device: torch.device, warm_ups: int = 1
) -> dict[str, float]:
    """Median seconds of each step, all in turn, so that noise of the machine meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(warm_ups + repeats):
        for name, step in steps.items():
            _synchronize(device)
            started = time.perf_counter()
            step()
            _synchronize(device)
            if repeat >= warm_ups:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


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


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
