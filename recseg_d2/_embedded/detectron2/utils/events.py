"""Scalars of a run, and where they are written."""

from __future__ import annotations

import datetime
import json
import logging
import time
from collections import defaultdict
from functools import cached_property
from typing import Any

import torch
from fvcore.common.history_buffer import HistoryBuffer

from detectron2.utils.file_io import PathManager

ETA_WINDOW = 1000  # iterations whose median time predicts the rest
_storages: list[EventStorage] = []


def get_event_storage() -> EventStorage:
    """The innermost storage in use; AssertionError outside of ``with EventStorage()``."""
    assert _storages, "get_event_storage() works inside a 'with EventStorage(...)' block only."
    return _storages[-1]


def has_event_storage() -> bool:
    return bool(_storages)


class EventStorage:
    """Collects scalars by iteration; a context manager, reached by anyone inside.

    ``iter`` is the current iteration.
    """

    def __init__(self, start_iter: int = 0) -> None:
        self.iter = start_iter
        self._history: dict[str, HistoryBuffer] = defaultdict(HistoryBuffer)
        self._latest: dict[str, tuple[float, int]] = {}
        self._smoothing_hints: dict[str, bool] = {}

    def put_scalar(
        self, name: str, value: Any, smoothing_hint: bool = True, cur_iter: int | None = None
    ) -> None:
        """Add a number to the history of ``name``.

        ``smoothing_hint`` says whether it is noisy, so that writers show a median; always the same.
        """
        hint = self._smoothing_hints.setdefault(name, smoothing_hint)
        assert hint == smoothing_hint, f"{name!r} was put with smoothing_hint={hint} before."
        iteration = self.iter if cur_iter is None else cur_iter
        self._latest[name] = (float(value), iteration)
        self._history[name].update(float(value), iteration)

    def put_scalars(
        self, *, smoothing_hint: bool = True, cur_iter: int | None = None, **kwargs: Any
    ) -> None:
        for name, value in kwargs.items():
            self.put_scalar(name, value, smoothing_hint=smoothing_hint, cur_iter=cur_iter)

    def history(self, name: str) -> HistoryBuffer:
        """All values of a scalar; KeyError where it was never put."""
        if name not in self._history:
            raise KeyError(f"No history of {name!r}; there is {', '.join(self._history)}.")
        return self._history[name]

    def histories(self) -> dict[str, HistoryBuffer]:
        return self._history

    def smoothing_hints(self) -> dict[str, bool]:
        return self._smoothing_hints

    def latest(self) -> dict[str, tuple[float, int]]:
        """Name to (last value, its iteration)."""
        return self._latest

    def latest_with_smoothing_hint(self, window_size: int = 20) -> dict[str, tuple[float, int]]:
        """As ``latest``, but of noisy scalars the median of the last ``window_size`` iterations."""
        return {
            name: (self.median(name, window_size) if self._smoothing_hints[name] else value, it)
            for name, (value, it) in self._latest.items()
        }

    def median(self, name: str, window_size: int = 20) -> float:
        return self._history[name].median(self.count_samples(name, window_size))

    def count_samples(self, name: str, window_size: int = 20) -> int:
        """How many values of ``name`` lie in the last ``window_size`` iterations up to its last."""
        data = self.history(name).values()  # (value, iteration) each
        start = data[-1][1] - window_size
        return next((n for n, (_, it) in enumerate(reversed(data)) if it <= start), len(data))

    def step(self) -> None:
        """Go on to the next iteration."""
        self.iter += 1

    def __enter__(self) -> EventStorage:
        _storages.append(self)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        _storages.pop()


class EventWriter:
    """Takes what is new in the current storage, at every ``write()``."""

    def __init__(self, window_size: int = 20) -> None:
        self._window_size = window_size  # iterations of the median of noisy scalars
        self._last_write = -1

    def write(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to close, unless a subclass says so."""

    def _new_scalars(self) -> list[tuple[int, str, float]]:
        """(iteration, name, value) of what was put since the last call, in order of iterations."""
        latest = get_event_storage().latest_with_smoothing_hint(self._window_size)
        new = [(it, name, value) for name, (value, it) in latest.items() if it > self._last_write]
        new.sort(key=lambda row: row[0])
        self._last_write = new[-1][0] if new else self._last_write
        return new


class JSONWriter(EventWriter):
    """Appends one line of JSON an iteration that has new scalars, with an "iteration" key."""

    def __init__(self, json_file: str, window_size: int = 20) -> None:
        super().__init__(window_size)
        self._file = PathManager.open(json_file, "a")

    def write(self) -> None:
        rows: dict[int, dict[str, float]] = {}
        for iteration, name, value in self._new_scalars():
            rows.setdefault(iteration, {"iteration": iteration})[name] = value
        for row in rows.values():
            self._file.write(json.dumps(row, sort_keys=True) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class TensorboardXWriter(EventWriter):
    """Writes scalars for TensorBoard; no file before the first of them."""

    def __init__(self, log_dir: str, window_size: int = 20, **kwargs: Any) -> None:
        super().__init__(window_size)
        self._arguments = {"log_dir": log_dir, **kwargs}  # of torch.utils.tensorboard.SummaryWriter

    @cached_property
    def _writer(self) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorboardXWriter needs `pip install tensorboard`.") from error
        return SummaryWriter(**self._arguments)

    def write(self) -> None:
        for iteration, name, value in self._new_scalars():
            self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        if "_writer" in self.__dict__:  # asking for the property would open a file
            self._writer.close()


class CommonMetricPrinter(EventWriter):
    """Logs losses, "[metric]" scalars, times, learning rate, memory, and the time that is left."""

    def __init__(self, max_iter: int | None = None, window_size: int = 20) -> None:
        super().__init__(window_size)
        self.logger = logging.getLogger("detectron2.utils.events")
        self._max_iter = max_iter  # None: the time that is left is unknown
        self._last_write_at: tuple[int, float] | None = None  # iteration, seconds

    def write(self) -> None:
        storage = get_event_storage()
        if storage.iter == self._max_iter:  # training is over; evaluations have their own tables
            return
        known, parts = storage.histories(), []
        pace = self._seconds_per_iteration(storage)
        if self._max_iter is not None and pace is not None:
            seconds = pace * (self._max_iter - storage.iter - 1)
            storage.put_scalar("eta_seconds", seconds, smoothing_hint=False)
            parts.append(f"eta: {datetime.timedelta(seconds=int(seconds))}")
        parts.append(f"iter: {storage.iter}")
        for name in [n for n in known if "loss" in n] + [n for n in known if "[metric]" in n]:
            parts.append(f"{name}: {storage.median(name, self._window_size):.4g}")
        for name in ("time", "data_time"):
            if name in known:
                mean = known[name].avg(storage.count_samples(name, self._window_size))
                parts.append(f"{name}: {mean:.4f}  last_{name}: {known[name].latest():.4f}")
        parts.append(f"lr: {known['lr'].latest():.5g}" if "lr" in known else "lr: N/A")
        if torch.cuda.is_available():
            parts.append(f"max_mem: {torch.cuda.max_memory_allocated() / 2**20:.0f}M")
        self.logger.info(" %s", "  ".join(parts))

    def _seconds_per_iteration(self, storage: EventStorage) -> float | None:
        if "time" in storage.histories():
            return storage.history("time").median(ETA_WINDOW)
        before, self._last_write_at = self._last_write_at, (storage.iter, time.perf_counter())
        if before is None or before[0] == storage.iter:
            return None
        return (self._last_write_at[1] - before[1]) / (storage.iter - before[0])
