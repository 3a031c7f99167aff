"""The loop over a test set."""

from __future__ import annotations

import datetime
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from detectron2.utils.comm import is_main_process

__all__ = ["DatasetEvaluator", "DatasetEvaluators", "inference_context", "inference_on_dataset"]

logger = logging.getLogger(__name__)

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


def inference_on_dataset(
    model: Callable, data_loader: Any, evaluator: DatasetEvaluator | list[DatasetEvaluator] | None
) -> Any:
    """Run a model over a loader, without gradients and in eval mode, and score its outputs.

    Args:
        model: called with each batch.
        data_loader: has a length.
        evaluator: one, several, or None to only measure the speed.

    Returns:
        What the evaluator returns; an empty dict where that is None.
    """
    if evaluator is None or isinstance(evaluator, list):
        evaluator = DatasetEvaluators(evaluator or [])
    evaluator.reset()
    total, start, last_log = len(data_loader), time.perf_counter(), time.perf_counter()
    in_eval_mode = inference_context(model) if isinstance(model, nn.Module) else nullcontext()
    with in_eval_mode, torch.no_grad():
        for done, inputs in enumerate(data_loader, start=1):
            evaluator.process(inputs, model(inputs))
            now = time.perf_counter()
            if done == total or now - last_log > _SECONDS_BETWEEN_LOGS:
                last_log, pace = now, (now - start) / done
                eta = datetime.timedelta(seconds=int(pace * (total - done)))
                logger.info("Inference done %d/%d. %.4f s/iter. ETA=%s", done, total, pace, eta)
    results = evaluator.evaluate()
    return {} if results is None else results


@contextmanager
def inference_context(model: nn.Module) -> Iterator[None]:
    """Within it the model is in eval mode; afterwards in the mode that it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
