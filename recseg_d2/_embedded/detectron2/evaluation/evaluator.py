"""The loop over a test set. May use: torch, detectron2.utils."""

from __future__ import annotations

import datetime
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from detectron2.utils.comm import get_world_size, is_main_process
from detectron2.utils.logger import log_every_n_seconds

__all__ = [
    "DatasetEvaluator",
    "DatasetEvaluators",
    "inference_context",
    "inference_on_dataset",
]

logger = logging.getLogger(__name__)

_WARMUP_BATCHES = 5
_SECONDS_BETWEEN_LOGS = 5


class DatasetEvaluator:
    """Collects inputs and outputs, and scores them at the end."""

    def reset(self) -> None:
        """Forget everything, before a new round."""

    def process(self, inputs: Any, outputs: Any) -> None:
        """Take a batch: what the model was given, and what it returned."""

    def evaluate(self) -> Any:
        """{task: {metric: score}} on the main process."""


class DatasetEvaluators(DatasetEvaluator):
    """Several evaluators as one."""

    def __init__(self, evaluators: Sequence[DatasetEvaluator]):
        self._evaluators = evaluators

    def reset(self) -> None:
        for evaluator in self._evaluators:
            evaluator.reset()

    def process(self, inputs: Any, outputs: Any) -> None:
        for evaluator in self._evaluators:
            evaluator.process(inputs, outputs)

    def evaluate(self) -> OrderedDict:
        results: OrderedDict = OrderedDict()
        for evaluator in self._evaluators:
            result = evaluator.evaluate()
            if is_main_process() and result is not None:
                both = results.keys() & result.keys()
                assert not both, f"Different evaluators produce results with the same key {both}."
                results.update(result)
        return results


class _Stopwatch:
    """Seconds spent on data, compute and evaluation, the first batches not counted."""

    def __init__(self, total: int):
        self._total = total
        self._warmup = min(_WARMUP_BATCHES, total - 1)
        self._restart()

    def _restart(self) -> None:
        self.seconds = {"Dataloading": 0.0, "Inference": 0.0, "Eval": 0.0}
        self._start = self._last = time.perf_counter()

    def lap(self, activity: str) -> None:
        now = time.perf_counter()
        self.seconds[activity] += now - self._last
        self._last = now

    def begin_batch(self, index: int) -> None:
        self.lap("Dataloading")
        if index == self._warmup:
            self._restart()

    def end_batch(self, index: int) -> None:
        if index < 2 * self._warmup:
            return
        counted = index + 1 - self._warmup
        whole = (time.perf_counter() - self._start) / counted
        parts = " ".join(f"{k}: {v / counted:.4f} s/iter." for k, v in self.seconds.items())
        eta = datetime.timedelta(seconds=int(whole * (self._total - index - 1)))
        log_every_n_seconds(
            logging.INFO,
            f"Inference done {index + 1}/{self._total}. {parts} "
            f"Total: {whole:.4f} s/iter. ETA={eta}",
            n=_SECONDS_BETWEEN_LOGS,
        )

    def summarize(self) -> None:
        counted = max(self._total - self._warmup, 1)
        whole = time.perf_counter() - self._start
        for name, seconds in (("time", whole), ("pure compute time", self.seconds["Inference"])):
            logger.info(
                "Total inference %s: %s (%.6f s / iter per device, on %d devices)",
                name,
                datetime.timedelta(seconds=seconds),
                seconds / counted,
                get_world_size(),
            )


def inference_on_dataset(
    model: Callable,
    data_loader: Any,
    evaluator: DatasetEvaluator | list[DatasetEvaluator] | None,
    callbacks: dict[str, Callable[[], Any]] | None = None,
) -> Any:
    """Run a model over a loader, without gradients and in eval mode, and score its outputs.

    Args:
        model: called with each batch.
        data_loader: has a length.
        evaluator: one, several, or None to only measure the speed.
        callbacks: functions for any of "on_start", "before_inference", "after_inference" and
            "on_end".

    Returns:
        What the evaluator returns; an empty dict where that is None.
    """
    total = len(data_loader)
    logger.info("Start inference on %d batches", total)
    if evaluator is None or isinstance(evaluator, MutableSequence):
        evaluator = DatasetEvaluators(evaluator or [])
    evaluator.reset()
    callbacks = callbacks or {}
    watch = _Stopwatch(total)
    in_eval_mode = inference_context(model) if isinstance(model, nn.Module) else nullcontext()
    with in_eval_mode, torch.no_grad():
        _call(callbacks, "on_start")
        for index, inputs in enumerate(data_loader):
            watch.begin_batch(index)
            _call(callbacks, "before_inference")
            outputs = model(inputs)
            _call(callbacks, "after_inference")
            if torch.cuda.is_available():
                torch.cuda.synchronize()  # the time of what is only queued would be missed
            watch.lap("Inference")
            evaluator.process(inputs, outputs)
            watch.lap("Eval")
            watch.end_batch(index)
        _call(callbacks, "on_end")
    watch.summarize()
    results = evaluator.evaluate()
    return {} if results is None else results


def _call(callbacks: dict[str, Callable[[], Any]], name: str) -> None:
    if name in callbacks:
        callbacks[name]()


@contextmanager
def inference_context(model: nn.Module) -> Iterator[None]:
    """Within it the model is in eval mode; afterwards in the mode that it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
