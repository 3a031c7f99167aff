"""Points of a curve, each measured in a process of its own, and the power law through them."""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

# What the first optimiser imports, so that it is not in every process anew.
import torch._dynamo

from benchmarks.measuring import MEBIBYTE
from benchmarks.models import TimedCall, peak_growth
from recseg_d2.errors import UserError

# A forked process has imported everything already. The one that it is forked from computes nothing,
# so that no memory and no thread of it is in the way.
PROCESSES = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
_LONG = 15.0  # seconds; a call that takes as long is not repeated
_MOST = 15  # calls of a point


@dataclass(frozen=True)
class Timing:
    """How often a point is measured; the median counts.

    Attributes:
        repeats: calls at least.
        seconds: of the processor, at least, unless that takes more than 15 calls.
    """

    repeats: int
    seconds: float


@dataclass(frozen=True)
class Cost:
    """What an amount costs.

    Attributes:
        seconds: those of the median call.
        peak_bytes: growth of the process's resident memory at its peak; None where unknown.
    """

    seconds: float
    peak_bytes: int | None


@dataclass(frozen=True)
class Series:
    """A line of a curve.

    Attributes:
        curve: what grows, such as "steps".
        name: whose cost it is, such as "RIS inference".
        measures: by amount, ascending, what measures its cost.
    """

    curve: str
    name: str
    measures: Mapping[int, Callable[[], Cost]]


def line(
    curve: str,
    name: str,
    amounts: Sequence[int],
    make: Callable[[int], TimedCall],
    timing: Timing,
) -> Series:
    """A line whose points are measured alone.

    Args:
        curve: see ``Series``.
        name: see ``Series``.
        amounts: ascending.
        make: makes the call of an amount; it can be pickled.
        timing: see ``measured_alone``.
    """
    measures = {n: partial(measured_alone, partial(make, n), timing) for n in amounts}
    return Series(curve, name, measures)


def measured_alone(make: Callable[[], TimedCall], timing: Timing) -> Cost:
    """The cost of a call on the CPU, in a process of its own, with one thread.

    Seconds are the processor's, which other work on the machine hardly changes.

    The first call tells the memory, the next ones the time; one of 15 seconds or more tells both,
    and short ones are timed more often, as they differ most.

    Args:
        make: makes the call, which can be repeated; it can be pickled.
        timing: how often to call.

    Raises:
        UserError: the process was ended from outside.
    """
    with ProcessPoolExecutor(1, mp_context=PROCESSES) as process:
        try:
            return process.submit(_measure, make, timing).result()
        except BrokenProcessPool as error:
            raise UserError(
                "A measuring process was killed, as happens where memory does not suffice; choose "
                "smaller amounts."
            ) from error


def _measure(make: Callable[[], TimedCall], timing: Timing) -> Cost:
    torch.set_num_threads(1)
    call = make()
    started = time.process_time()
    peak = peak_growth(call)
    seconds = [time.process_time() - started]
    if seconds[0] < _LONG:
        seconds = [_processor_seconds(call) for _ in range(timing.repeats)]
        while sum(seconds) < timing.seconds and len(seconds) < _MOST:
            seconds.append(_processor_seconds(call))
    return Cost(statistics.median(seconds), peak)


def _processor_seconds(call: TimedCall) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def power_law(amounts: Sequence[float], costs: Sequence[float | None]) -> float | None:
    """The exponent b of ``cost = a * amount^b`` through the upper half of a curve.

    Least squares of log(cost) against log(amount) over the points from the middle one on: below
    it is a part of the cost that does not grow. None where fewer than two points are left, or a
    cost is unknown or not above 0.

    Args:
        amounts: ascending, above 0.
        costs: one for each amount.
    """
    upper = slice((len(amounts) - 1) // 2, None)
    kept = [cost for cost in costs[upper] if cost is not None and cost > 0]
    if len(kept) < 2 or len(kept) < len(costs[upper]):
        return None
    slope, _ = np.polyfit(np.log(amounts[upper]), np.log(kept), 1)
    return float(slope)


def point_rows(series: Series) -> list[dict[str, Any]]:
    """Measure a line: a row for each amount."""
    rows = []
    for amount, measure in series.measures.items():
        cost = measure()
        peak = None if cost.peak_bytes is None else cost.peak_bytes / MEBIBYTE
        row = {"curve": series.curve, "what": series.name, "amount": amount}
        rows.append({**row, "seconds": cost.seconds, "peak MiB": peak})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def exponent_row(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The row of a table for the points of a line."""
    first, last = points[0], points[-1]
    amounts = [point["amount"] for point in points]
    costs = {name: [point[name] for point in points] for name in ("seconds", "peak MiB")}
    return {
        "curve": first["curve"],
        "what": first["what"],
        "from": first["amount"],
        "to": last["amount"],
        "s, first": first["seconds"],
        "s, last": last["seconds"],
        "time's exponent": power_law(amounts, costs["seconds"]),
        "MiB, first": first["peak MiB"],
        "MiB, last": last["peak MiB"],
        "memory's exponent": power_law(amounts, costs["peak MiB"]),
    }
