"""The curves of a run that was interrupted go on as if it had not been."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectron2.engine import HookBase
from detectron2.utils.events import EventWriter

WINDOW = 20  # iterations that Detectron2's writers take the median of


class ContinueMetrics(HookBase):
    """Keeps the values that smoothed ones are made of, and removes lines of what is done again.

    It has to come after every hook that puts a scalar, and before the writers.

    Args:
        writers: the run's writers; they go on behind the last line that is kept.
        metrics_file: the run's metrics.json.
    """

    def __init__(self, writers: Sequence[EventWriter], metrics_file: Path) -> None:
        self._writers = writers
        self._file = metrics_file
        self._kept: dict[str, Any] = {}

    def before_train(self) -> None:
        """Put the values back, and cut metrics.json."""
        storage = self.trainer.storage
        for name, (hint, values) in self._kept.items():
            for value, iteration in values:
                storage.put_scalar(name, value, smoothing_hint=hint, cur_iter=iteration)
        if self._writers and self._file.is_file():
            written = cut_metrics(self._file, self.trainer.start_iter)
            for writer in self._writers:
                if isinstance(getattr(writer, "_last_write", None), int):  # the printer has none
                    writer._last_write = written

    def state_dict(self) -> dict[str, Any]:
        """The last values of every scalar."""
        storage = self.trainer.storage
        hints = storage.smoothing_hints()
        first = self.trainer.iter - WINDOW
        kept = {}
        for name, history in storage.histories().items():
            values = history.values()
            recent = [[float(v), int(i)] for v, i in values if i > first]
            last = [[float(v), int(i)] for v, i in values[-1:]]
            kept[name] = [hints[name], recent or last]
        return {"scalars": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._kept = state["scalars"]


def cut_metrics(path: Path, start: int) -> int:
    """Remove the lines of iterations from ``start`` on, and one that broke off, from a file.

    The file is cut where it is, since a writer may have opened it.

    Returns:
        The last iteration that the file has a line of; -1 where it has none.
    """
    kept, last = 0, -1
    with open(path, "rb") as file:
        for line in file:
            iteration = _iteration(line)
            if iteration is None or iteration >= start:
                break
            kept, last = kept + len(line), iteration
    os.truncate(path, kept)
    return last


def _iteration(line: bytes) -> int | None:
    try:
        return int(json.loads(line)["iteration"]) if line.endswith(b"\n") else None
    except (ValueError, KeyError, TypeError):
        return None
