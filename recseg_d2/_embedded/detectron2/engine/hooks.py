"""What happens beside the training step."""

from __future__ import annotations

import datetime
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from fvcore.common.checkpoint import PeriodicCheckpointer as _PeriodicCheckpointer
from fvcore.common.timer import Timer

import detectron2.utils.comm as comm
from detectron2.evaluation.testing import flatten_results_dict
from detectron2.solver import LRScheduler as _LRScheduler
from detectron2.utils.events import EventWriter

from .train_loop import HookBase

__all__ = ["EvalHook", "IterationTimer", "LRScheduler", "PeriodicCheckpointer", "PeriodicWriter"]

logger = logging.getLogger(__name__)


def _is_due(trainer: Any, period: int) -> bool:
    """Whether a period ends with this iteration; a period of 0 never does."""
    return period > 0 and (trainer.iter + 1) % period == 0


def _is_last(trainer: Any) -> bool:
    return trainer.iter + 1 >= trainer.max_iter


class IterationTimer(HookBase):
    """Measures "time" of each step but the first ones, and logs the sum; comes first."""

    def __init__(self, warmup_iter: int = 3):
        self._warmup_iter = warmup_iter
        self._step_timer = Timer()
        self._total_timer = Timer()  # of the steps, without the hooks

    def before_train(self) -> None:
        self._restart()
        self._total_timer.pause()

    def _restart(self) -> None:
        self._start_time = time.perf_counter()
        self._total_timer.reset()

    def before_step(self) -> None:
        self._step_timer.reset()
        self._total_timer.resume()

    def after_step(self) -> None:
        done = self.trainer.iter - self.trainer.start_iter + 1
        if done >= self._warmup_iter:
            self.trainer.storage.put_scalars(time=self._step_timer.seconds())
        else:
            self._restart()
        self._total_timer.pause()

    def after_train(self) -> None:
        whole, steps = time.perf_counter() - self._start_time, self._total_timer.seconds()
        done = self.trainer.iter + 1 - self.trainer.start_iter - self._warmup_iter
        if done > 0:
            logger.info("Overall training speed: %d iterations, %.4f s / it", done, steps / done)
        total, beside = (datetime.timedelta(seconds=int(s)) for s in (whole, whole - steps))
        logger.info("Total training time: %s (%s on hooks)", total, beside)


class PeriodicWriter(HookBase):
    """Makes the writers write, periodically and at the end; should be the last hook."""

    def __init__(self, writers: Sequence[EventWriter], period: int = 20):
        self._writers = writers
        self._period = period

    def after_step(self) -> None:
        if _is_due(self.trainer, self._period) or _is_last(self.trainer):
            for writer in self._writers:
                writer.write()

    def after_train(self) -> None:
        for writer in self._writers:
            writer.write()  # what other hooks measured after the training
            writer.close()


class PeriodicCheckpointer(_PeriodicCheckpointer, HookBase):
    """fvcore's, as a hook."""

    def before_train(self) -> None:
        self.max_iter = self.trainer.max_iter

    def after_step(self) -> None:
        self.step(self.trainer.iter)


class LRScheduler(HookBase):
    """Steps the scheduler after every iteration, and writes "lr"; None is the trainer's."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer | None = None,
        scheduler: _LRScheduler | None = None,
    ):
        self._optimizer = optimizer
        self._scheduler = scheduler

    @property
    def scheduler(self) -> _LRScheduler:
        return self._scheduler or self.trainer.scheduler

    def before_train(self) -> None:
        self._optimizer = self._optimizer or self.trainer.optimizer
        self._group = self.get_best_param_group_id(self._optimizer)

    @staticmethod
    def get_best_param_group_id(optimizer: torch.optim.Optimizer) -> int:
        """The group to log: the largest; of groups of one, one with the most common rate."""
        groups = optimizer.param_groups
        sizes = [len(group["params"]) for group in groups]
        if max(sizes) > 1:
            return sizes.index(max(sizes))
        rates = [group["lr"] for group in groups]
        return rates.index(Counter(rates).most_common(1)[0][0])

    def after_step(self) -> None:
        rate = self._optimizer.param_groups[self._group]["lr"]  # type: ignore[union-attr]
        self.trainer.storage.put_scalar("lr", rate, smoothing_hint=False)
        self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.scheduler.load_state_dict(state_dict)


class EvalHook(HookBase):
    """Evaluates every ``eval_period`` iterations (0 is never) and at the end.

    ``eval_function`` returns a nested dict of numbers, or None. Must be in all processes or none.
    """

    def __init__(
        self, eval_period: int, eval_function: Callable[[], Any], eval_after_train: bool = True
    ):
        self._period = eval_period
        self._func = eval_function
        self._eval_after_train = eval_after_train

    def after_step(self) -> None:
        if _is_due(self.trainer, self._period) and not _is_last(self.trainer):
            self._do_eval()

    def after_train(self) -> None:
        if self._eval_after_train and _is_last(self.trainer):  # not after a failure
            self._do_eval()
        del self._func  # it may hold the trainer

    def _do_eval(self) -> None:
        results = self._func()
        if results:
            assert isinstance(results, dict), f"Expected a dict of results, got {results!r}."
            flat = flatten_results_dict(results)
            self.trainer.storage.put_scalars(**flat, smoothing_hint=False)
        comm.synchronize()  # so that all start the next iteration together
